"""Applications and the decisions about them, from the form to the last signature."""
