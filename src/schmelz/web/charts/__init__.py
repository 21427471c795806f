"""Charts as SVG, made on the server by pure functions: numbers in, text out. Classes only, no style, no script."""
