"""The command line: one of three faces; it asks, shows and exits, and decides nothing."""
