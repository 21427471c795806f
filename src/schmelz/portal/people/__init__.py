"""Persons, organisations, the functions they hold, and the letters they get."""
