"""Charts as SVG, made on the server by pure functions: numbers in, text out. No inline style, no script; classes only."""
