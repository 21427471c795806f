"""The pages that are made from the code are the ones in the tree."""

from pathlib import Path

import pytest

from generated import PAGES, page

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_is_fresh(name: str) -> None:
    assert (DOCS / name).read_text() == page(name), "stale: run `make pages`"
