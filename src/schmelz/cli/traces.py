"""Opening a trace in whichever format: the Standard Workload Format, comma-separated values, or our own records.

`sacct -P` text goes through the reader of the metering, so the past of the factory is read as it is charged: a job's size
is what it was given (what it asked for, while it waits), its run is the time for which it held its GPUs, its estimate the
time limit. Records are sorted by submission; of records of one run, the last counts. A damaged line ends the reading.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from schmelz.faults import BadInput

if TYPE_CHECKING:
    import polars as pl

    from schmelz.twin.records import Trace
    from schmelz.twin.workload import Names

OWNERS = ("account", "user", "partition", "qos")
COLUMNS = ("cluster", "job", "submit", "held_s", "gpus", "limit_s", *OWNERS)
PART = 8 * 2**20


def trace(path: Path, form: str | None, columns: Sequence[str] = ()) -> "Trace":
    """The records of a trace. Raises BadInput with the name of the file."""
    from schmelz.twin import swf, trace_csv
    from schmelz.twin.trace_text import FORMATS, guessed, opened

    if form is not None and form not in FORMATS:
        raise BadInput(f"--format: {form!r} is none of {', '.join(FORMATS)}")
    form = form or guessed(path)
    if columns and form != "csv":
        raise BadInput(f"--map: means nothing for --format {form}")
    mapped = trace_csv.mapping(columns)
    if form == "sacct":
        return _records(path)
    with opened(path) as source:
        try:
            return swf.read(source) if form == "swf" else trace_csv.read(source, mapped)
        except BadInput as error:
            raise BadInput([f"{path}: {fault}" for fault in error.faults]) from None


def _records(path: Path) -> "Trace":
    import numpy as np
    import polars as pl

    from schmelz.metering import sacct
    from schmelz.twin.records import Trace
    from schmelz.twin.trace_text import job_names, opened

    frames = []
    with opened(path) as source:
        try:
            for part in sacct.parts(source, system="trace", cluster="trace", size=PART):
                if part.faults:
                    raise BadInput(f"line {part.faults[0].line}: {part.faults[0].reason}")
                frames.append(part.runs.select(COLUMNS))
        except BadInput as error:
            raise BadInput([f"{path}: {fault}" for fault in error.faults]) from None
    if not frames:
        raise BadInput(f"{path}: holds no records below the header")
    runs = pl.concat(frames).unique(("cluster", "job", "submit"), keep="last", maintain_order=True)
    runs = runs.sort("submit", maintain_order=True)
    size, run, submit, limit = (
        runs[name].fill_null(-1).to_numpy().astype(np.int64) for name in ("gpus", "held_s", "submit", "limit_s")
    )
    note = "records sorted by submission; requested and allocated size are the same in them"
    return Trace(
        job_names(runs["job"].to_list()),
        submit,
        run,
        size,
        size,
        limit,
        tuple(_names(runs[name]) for name in OWNERS),
        (note,),
    )


def _names(texts: "pl.Series") -> "Names":
    import numpy as np

    from schmelz.twin.workload import Names

    names = texts.unique(maintain_order=True).cast(str).to_list()
    places = {name: place for place, name in enumerate(names)}
    code = np.array([places[text] for text in texts.cast(str)], np.int32)
    return Names(code, tuple(name or "unknown" for name in names))
