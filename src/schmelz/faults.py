"""The two ways in which Schmelz says no: bad input and refusal. Neither ever leaves anything half done.

*BadInput* carries one line per fault: where it is (file, key or row), what is wrong, what would be right. Exit code 2.
*Refused* is a guard's answer to a well-formed wish: it carries *because*, and what would change it. Exit code 4.
"""

from collections.abc import Sequence


class BadInput(ValueError):
    """Something that a person wrote cannot be used; nothing was changed."""

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class Refused(Exception):
    """A rule says no: `because` names the reason, `remedy` what would change it."""

    def __init__(self, because: str, remedy: str = "") -> None:
        self.because, self.remedy = because, remedy
        super().__init__(f"{because} {remedy}".strip())
