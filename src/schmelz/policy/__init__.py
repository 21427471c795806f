"""The factory as data: the shape of factory.toml (schema), reading it (load), saying it aloud (explain)."""
