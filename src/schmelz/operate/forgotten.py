"""The file that lists who was forgotten, by number (`forget_again` writes it). Read before there is a database."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schmelz.faults import BadInput

LIST = "forgotten.json"


def read_list(path: Path) -> Mapping[str, Any]:
    """A list that was written. Raises BadInput for anything else."""
    try:
        said = json.loads(path.read_text("utf-8"))
        assert isinstance(said["first"], str | None)
        assert all(isinstance(one["person"], int) for one in said["persons"])
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        raise BadInput(f"{path}: is no list of forgotten persons; give the {LIST} of the last backup") from None
    return dict(said)
