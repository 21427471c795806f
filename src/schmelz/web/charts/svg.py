"""A few lines of SVG: elements as text, every value escaped, coordinates as integers.

Every chart has a title and a description (for screen readers) and stands above a table with the same numbers.
"""

from xml.sax.saxutils import escape, quoteattr


def element(name: str, *inside: str, **attributes: object) -> str:
    """An element; `cls` is its class, underscores in names become hyphens, `inside` is markup already."""
    said = "".join(f" {_name(key)}={quoteattr(str(value))}" for key, value in attributes.items() if value is not None)
    return f"<{name}{said}>{''.join(inside)}</{name}>" if inside else f"<{name}{said}/>"


def _name(key: str) -> str:
    return {
        "cls": "class",
        "viewBox": "viewBox",
        "preserveAspectRatio": "preserveAspectRatio",
        "patternUnits": "patternUnits",
        "patternTransform": "patternTransform",
    }.get(key, key.replace("_", "-"))


def text(name: str, said: str) -> str:
    """An element that holds plain text, such as title or desc."""
    return element(name, escape(said))


def drawing(width: int, height: int, title: str, description: str, *inside: str, key: str) -> str:
    """A whole picture that stretches to the width it gets."""
    return element(
        "svg",
        text("title", title),
        text("desc", description),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        role="img",
        id=key,
    )


def stripes(key: str, tint: str, turn: int = 45, gap: int = 8) -> str:
    """A pattern of lines in a pool's colour: told apart in print and by whoever sees no colour."""
    line = element("line", x1=0, y1=0, x2=0, y2=gap, cls=tint, stroke_width=gap // 2)
    ground = element("rect", width=gap, height=gap, cls="paper")
    return element(
        "pattern",
        ground,
        line,
        id=key,
        width=gap,
        height=gap,
        patternUnits="userSpaceOnUse",
        patternTransform=f"rotate({turn})",
    )


def boxes(shapes: list[tuple[int, int, int, int]], **attributes: object) -> str:
    """Many rectangles (x, y, width, height) of one kind as one path; nothing where there are none."""
    drawn = "".join(f"M{x} {y}h{w}v{h}h{-w}z" for x, y, w, h in shapes if w > 0 and h > 0)
    return element("path", d=drawn, **attributes) if drawn else ""
