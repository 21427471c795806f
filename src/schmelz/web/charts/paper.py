"""A picture with the words around it, and the same picture for paper, where there is no style sheet."""

from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe


@dataclass(frozen=True)
class Chart:
    """A picture with the words around it: what stands at its upper and lower edge and at its two ends."""

    title: str
    svg: str
    upper: str
    lower: str
    first: str
    last: str

    @property
    def drawn(self) -> SafeString:
        """The picture for a template; every value in it was escaped when it was drawn."""
        return mark_safe(self.svg)  # noqa: S308


PAPER = (
    "<style>.iron{fill:#3f6184;stroke:#3f6184}.ember{fill:#b04c0c;stroke:#b04c0c}.moss{fill:#4a6b2f;stroke:#4a6b2f}"
    ".plum{fill:#7a3f77;stroke:#7a3f77}.slag{fill:#8b929a;stroke:#8b929a}.ink{fill:#1b1f23;stroke:#1b1f23}"
    ".paper{fill:#fff;stroke:none}.flat{stroke:none}.outline{fill:none}.thick{stroke-width:9}.thin{stroke-width:6}"
    ".mid{stroke:#1b1f23;stroke-width:3}.faint{opacity:.45}</style>"
)


def colour(tint: str) -> str:
    return {"iron": "blue", "ember": "orange", "moss": "green", "plum": "purple"}[tint]


def on_paper(svg: str) -> str:
    """The same picture with its colours inside, for where there is no style sheet."""
    return svg.replace("<title>", f"{PAPER}<title>", 1).replace('preserveAspectRatio="none"', "", 1)
