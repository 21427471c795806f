"""PostgreSQL as Schmelz uses it."""
