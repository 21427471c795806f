"""Qualities of service under Slurm: what an answer says of them, and the commands that make and change them. Pure.

Ours carry our mark as Description. A QOS can name those that it pre-empts only when they are there, so new ones are made
first and told afterwards whom they pre-empt. `preemptible` is PreemptMode=requeue, `exempt` PreemptExemptTime.
Source: sacctmgr of Slurm 22.05, tried out on the real thing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from schmelz.cluster.backends.slurm_many import Command
from schmelz.cluster.backends.slurm_read import Qualities, Row, gpus, names, number, table
from schmelz.cluster.backends.slurm_write import grouped
from schmelz.cluster.model import MARK, ClusterError, Qos

SHOW: Command = (
    "sacctmgr", "-P", "show", "qos",
    "format=name,priority,grptres,preempt,preemptmode,preemptexempttime,description",
)  # fmt: skip
COLUMNS = ("Name", "Priority", "GrpTRES", "Preempt", "PreemptMode", "PreemptExemptTime", "Descr")
_SPAN = re.compile(r"(?:([0-9]+)-)?([0-9]+):([0-9]+):([0-9]+)")


def qualities(source: bytes) -> Qualities:
    """All of the data base, which are those of every cluster in it."""
    rows = table(source, COLUMNS, "sacctmgr show qos")
    if not rows:
        raise ClusterError("sacctmgr show qos: the answer has none; every data base has one")
    ours = sorted(_qos(row) for row in rows if row["Descr"] == MARK)
    return tuple(ours), tuple(sorted(row["Name"] for row in rows if row["Descr"] != MARK))


def _qos(row: Row) -> Qos:
    return Qos(
        row["Name"],
        number(row, "Priority"),
        gpus(row["GrpTRES"]),
        names(row["Preempt"]),
        "requeue" in row["PreemptMode"].lower(),
        _seconds(row["PreemptExemptTime"]),
    )


def _seconds(span: str) -> int:
    if not span:
        return 0
    if not (found := _SPAN.fullmatch(span)):
        raise ClusterError(f"PreemptExemptTime: {span!r} is not a time")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def additions(new: Sequence[Qos]) -> list[Command]:
    """Commands that make them: one for all that are alike; then whom they pre-empt."""
    settings = grouped((qos.name, tuple(_settings(Qos(qos.name), qos))) for qos in sorted(new))
    add = [
        ("sacctmgr", "-i", "add", "qos", ",".join(part), f"Description={MARK}", *values) for values, part in settings
    ]
    return add + _modify((qos.name, (_preempts(qos),)) for qos in sorted(new) if qos.preempts)


def changes(pairs: Iterable[tuple[Qos, Qos]]) -> list[Command]:
    """Commands that set what differs, one for each set of values."""
    return _modify((new.name, wish) for old, new in sorted(pairs) if (wish := tuple(_wishes(old, new))))


def caps(wanted: Mapping[str, int | None]) -> list[Command]:
    """Commands that set only how many GPUs may be used at once."""
    return _modify((name, (_cap(number),)) for name, number in sorted(wanted.items()))


def _wishes(old: Qos, new: Qos) -> Iterator[str]:
    yield from _settings(old, new)
    if set(old.preempts) != set(new.preempts):
        yield _preempts(new)


def _settings(old: Qos, new: Qos) -> Iterator[str]:
    if old.priority != new.priority:
        yield f"Priority={new.priority}"
    if old.gpus != new.gpus:
        yield _cap(new.gpus)
    if old.preemptible != new.preemptible:
        yield f"PreemptMode={'requeue' if new.preemptible else 'cluster'}"
    if old.exempt != new.exempt or new.preemptible > old.preemptible:  # unsaid, the time of slurm.conf would hold
        minutes, seconds = divmod(new.exempt, 60)
        yield f"PreemptExemptTime={minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _preempts(qos: Qos) -> str:
    return f"Preempt={','.join(sorted(qos.preempts))}"


def _cap(number: int | None) -> str:
    return f"GrpTRES=gres/gpu={-1 if number is None else number}"


def _modify(wishes: Iterable[tuple[str, tuple[str, ...]]]) -> list[Command]:
    modify = ("sacctmgr", "-i", "modify", "qos", "where")
    return [(*modify, f"name={','.join(part)}", "set", *values) for values, part in grouped(wishes)]
