"""A statement as PDF: tagged (PDF/UA-1 and PDF/A-2a), with title, language and real text; the same bytes each time.

Texts reach the document as JSON, never as markup. Fonts are those inside the typesetter, nothing is fetched. Where a text
has letters that these fonts lack, the page is still made (tagged, the text inside is right), without the two marks.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import typst

from schmelz.metering.statement import Statement, moment, said

TEMPLATE = Path(__file__).parent / "typst" / "statement.typ"
STANDARDS: list["typst.PDFStandard"] = ["a-2a", "ua-1"]


@dataclass(frozen=True)
class Picture:
    """A chart as SVG, with its description for whoever cannot see it, and the words under it."""

    title: str
    svg: str
    alt: str
    under: str


def pdf(statement: Statement, author: str, zone: ZoneInfo, pictures: Sequence[Picture] = ()) -> bytes:
    """The bytes of the document; its date is the statement's `as_of`."""
    shown = [vars(picture) for picture in pictures]
    data = json.dumps(_data(statement, author, zone) | {"pictures": shown}, ensure_ascii=False)
    try:
        return _compiled(data, statement.as_of, STANDARDS)
    except typst.TypstError as error:
        if "could not be displayed" not in error.message:
            raise
        return _compiled(data, statement.as_of, [])


def _compiled(data: str, as_of: int, standards: "list[typst.PDFStandard]") -> bytes:
    return typst.compile(
        TEMPLATE,
        format="pdf",
        font_paths=_fonts(),
        sys_inputs={"data": data},
        pdf_standards=standards,
        timestamp=as_of,
    )


@cache
def _fonts() -> typst.Fonts:
    """The typesetter's own fonts; those of the machine would make other bytes."""
    return typst.Fonts(include_system_fonts=False)


def _data(statement: Statement, author: str, zone: ZoneInfo) -> dict[str, object]:
    return {
        "title": statement.title,
        "author": author,
        "description": f"{statement.title}, as of {moment(statement.as_of, zone)}",
        "facts": [["as of", moment(statement.as_of, zone)], *map(list, statement.facts)],
        "tables": [
            {
                "title": table.title,
                "note": table.note,
                "unit": table.unit,
                "titles": table.titles,
                "numbers": table.numbers,
                "rows": table.rows,
                "sums": table.sums,
            }
            for table in said(statement, zone)
        ],
        "signatures": [
            {"title": s.title, "name": s.name, "at": "" if s.at is None else moment(s.at, zone)}
            for s in statement.signatures
        ],
    }
