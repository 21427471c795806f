"""A statement as a file: JSON, CSV or PDF, each with its media type; the same statement gives the same bytes."""

import json

from schmelz.faults import BadInput
from schmelz.metering.statement import Statement, as_csv, as_dict
from schmelz.operate.pdf import pdf
from schmelz.portal.policy import factory

MEDIA = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "json": "application/json"}


def in_form(statement: Statement, form: str) -> tuple[str, bytes]:
    """Media type and bytes. Raises BadInput for a form that there is not."""
    if form not in MEDIA:
        raise BadInput(f"format: {form!r} is none; one of: {', '.join(MEDIA)}")
    if form == "pdf":
        policy = factory()
        return MEDIA[form], pdf(statement, policy.factory.name, policy.zone)
    text = as_csv(statement) if form == "csv" else json.dumps(as_dict(statement), indent=2, ensure_ascii=False) + "\n"
    return MEDIA[form], text.encode()
