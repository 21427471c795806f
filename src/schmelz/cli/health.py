"""The doctor's checks: each says what was found, how bad it is (ok, warn, stop) and what to do about it."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schmelz.cli import ready
from schmelz.faults import BadInput, Refused


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "stop"]
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """All checks in the order in which things are needed; what cannot be looked at is said, never raised."""
    return [found for name, look in CHECKS.items() for found in _guarded(name, look)]


def _guarded(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return look()
    except BadInput as error:
        return [Check(name, "stop", fault, "mend it as said") for fault in error.faults]
    except Refused as error:
        return [Check(name, "stop", error.because, error.remedy)]
    except Exception as error:
        return [Check(name, "stop", f"{type(error).__name__}: {error}", "see the operating pages in docs/")]


def _python() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = (3, 11) <= sys.version_info[:2] < (3, 14)
    return [Check("python", "ok" if fine else "warn", version, "" if fine else "Python 3.11 to 3.13 is tested")]


def _factory() -> list[Check]:
    from schmelz.policy.load import load

    path = Path(os.environ.get("SCHMELZ_FACTORY") or "factory.toml")
    factory = load(path)
    return [Check("factory", "ok", f"{path}: {factory.factory.name}, {len(factory.modes)} access modes")]


def _data() -> list[Check]:
    ready.portal()
    from django.conf import settings

    data = Path(settings.DATA)
    free = shutil.disk_usage(data).free // 2**30
    found = [
        Check(
            "data",
            "ok" if free >= 1 else "stop",
            f"{data}: {free} GiB free",
            "" if free >= 1 else "free some disk space",
        )
    ]
    if data.stat().st_mode & 0o077:
        found.append(Check("data rights", "warn", "other users may look into the data directory", f"chmod 700 {data}"))
    return found


def _database() -> list[Check]:
    from django.db import connection

    from schmelz.portal.ledger.models import Event
    from schmelz.portal.ledger.queries import head
    from schmelz.proof.chain import broken

    place = broken((event.facts(), event.hash) for event in Event.objects.iterator())
    if place is not None:
        return [Check("ledger", "stop", f"the chain of events is broken at event {place}", "restore the last backup")]
    return [Check("database", "ok", f"{connection.vendor}, {head()[0]} events, the chain holds")]


def _cluster() -> list[Check]:
    from schmelz.operate.cluster import backend, running_systems

    found = []
    for system in running_systems():
        observed = backend(system).observe()
        found.append(
            Check(
                f"cluster {system.id}",
                "ok",
                f"{system.cluster.backend}: {len(observed.accounts)} accounts of ours, "
                f"{len(observed.foreign)} of others",
            )
        )
        if system.cluster.backend == "local":
            alone = os.geteuid() == 0
            found.append(
                Check(
                    f"isolation {system.id}",
                    "ok" if alone else "warn",
                    "jobs run as another user" if alone else "jobs run as this very user",
                    "" if alone else "for trying out only: give the system a real cluster for work",
                )
            )
    return found or [Check("cluster", "warn", "no system of the factory has a cluster", "set systems.cluster.backend")]


def _slurm() -> list[Check]:
    """What Slurm says of its own settings: some would make budgets or the split false."""
    from schmelz.cluster.backends.slurm_doctor import examine
    from schmelz.operate.cluster import running_systems

    return [
        Check(f"slurm {system.id}", said.state, f"{said.setting} {said.found}", _for_slurm_conf(said.remedy))
        for system in running_systems()
        if system.cluster.backend == "slurm"
        for said in examine(system)
    ]


def _for_slurm_conf(line: str) -> str:
    return line and f"write into slurm.conf, then restart slurmctld: {line}"


def _duties() -> list[Check]:
    from schmelz.operate.loop import only_one

    with only_one() as free:
        return [
            Check(
                "duties",
                "warn" if free else "ok",
                "nobody runs them" if free else "running",
                "`schmelz up` runs them" if free else "",
            )
        ]


def _mail() -> list[Check]:
    from schmelz.operate.notify import relay
    from schmelz.portal.people.models import Letter

    waiting = Letter.objects.filter(sent=None).count()
    where = relay()
    if where is None:
        return [
            Check(
                "mail",
                "warn",
                f"no relay; {waiting} letters wait in the outbox",
                "set SCHMELZ_MAIL=host:port to send them",
            )
        ]
    return [Check("mail", "ok", f"relay {where[0]}:{where[1]}, {waiting} letters wait")]


def _records() -> list[Check]:
    from schmelz.portal.usage.models import Quarantined
    from schmelz.portal.usage.queries import last_reading
    from schmelz.units import iso

    last, bad = last_reading(), Quarantined.objects.count()
    if last is None:
        return [Check("records", "warn", "no job record was read yet", "`schmelz meter` reads them")]
    return [
        Check(
            "records",
            "warn" if bad else "ok",
            f"last read {iso(last.at)}, {bad} lines in quarantine",
            "look at the page Health" if bad else "",
        )
    ]


CHECKS: dict[str, Callable[[], list[Check]]] = {
    "python": _python,
    "factory": _factory,
    "data": _data,
    "database": _database,
    "cluster": _cluster,
    "slurm": _slurm,
    "duties": _duties,
    "mail": _mail,
    "records": _records,
}
