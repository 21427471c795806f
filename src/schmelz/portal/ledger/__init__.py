"""Every move of an object as a hash-chained event: who, what, why, when."""
