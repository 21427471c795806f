"""Accounts, members, QOS and what holds them as JSON objects and back: for the journal, the tape and the local cluster.

A row has a key per field; lists come back as tuples, and a field that an older row lacks gets its default. Pure.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from schmelz.cluster.desired import Desired
from schmelz.cluster.model import Account, Member, Observed, Qos

T = TypeVar("T")
Row = dict[str, Any]
_KINDS: dict[str, type] = {"accounts": Account, "members": Member, "qos": Qos, "leaving": Member, "left": Member}


def row(one: Account | Member | Qos) -> Row:
    """One object as a row."""
    return dict(vars(one))


def whole(both: Desired | Observed) -> Row:
    """All of it as a row of rows."""
    return {
        name: [row(one) for one in value] if name in _KINDS else _plain(value) for name, value in vars(both).items()
    }


def read(kind: type[T], values: Mapping[str, Any]) -> T:
    """One object. Raises TypeError for a row of something else."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def desired(values: Mapping[str, Any]) -> Desired:
    """What `whole` made of a Desired. Raises KeyError, TypeError, AttributeError for anything else."""
    return Desired(**_parts(values))


def observed(values: Mapping[str, Any]) -> Observed:
    """What `whole` made of an Observed. Raises KeyError, TypeError, AttributeError for anything else."""
    defaults = tuple((user, account) for user, account in values.get("defaults", ()))
    return Observed(**_parts(values) | {"defaults": defaults})


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _parts(values: Mapping[str, Any]) -> Row:
    parts = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    values["accounts"], values["members"]  # an older row may know no QOS, and nobody who leaves
    for name, kind in _KINDS.items():
        if name in values:
            parts[name] = tuple(read(kind, one) for one in values[name])
    return parts
