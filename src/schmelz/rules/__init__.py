"""Decisions as pure functions: no I/O, no clock, no randomness; time and facts come in as arguments."""
