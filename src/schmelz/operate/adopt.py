"""Taking over what already stands on a cluster: read and propose, check the edited file, make the projects here.

Reading asks Slurm's `show` commands and its job records; the cluster is never written. What people call theirs on it
becomes the plan's only when an operator marks the accounts, by the command that `marking` spells out.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from schmelz.cluster.adopt import Proposal, Use, propose
from schmelz.cluster.adopt_file import Adoption, Takeover, parse, text
from schmelz.cluster.backends.slurm_adopt import standing
from schmelz.cluster.model import MARK
from schmelz.faults import BadInput, Refused
from schmelz.metering.attribute import attribute
from schmelz.metering.sacct import read
from schmelz.metering.usage import charged_seconds
from schmelz.operate.cluster import backend
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects.adopted import LONGEST_CODE, TakenOver, people, strangers, take_over
from schmelz.units import day_start, local_date

LARGEST_FILE = 16 * 2**20


@dataclass(frozen=True)
class Checked:
    """A file that can be taken over, and the Unix names in it that are nobody here."""

    adoption: Adoption
    takeovers: tuple[Takeover, ...]
    strangers: dict[str, tuple[str, ...]]


def proposed(system: System, since: date | None) -> tuple[Proposal, str]:
    """What stands on the cluster, sorted, and the file to edit. Raises Refused where there is no Slurm to read."""
    if system.cluster.backend != "slurm":
        raise Refused(
            f"{system.id} has no Slurm to read; its cluster is {system.cluster.backend}.",
            'Give it one in the policy file: systems.cluster.backend = "slurm".',
        )
    used = use_of(system, since)
    proposal = propose(system, standing(system.cluster.name), used, LONGEST_CODE)
    return proposal, text(proposal, factory(), system.id, local_date(now(), factory().zone))


def use_of(system: System, since: date | None) -> dict[str, Use]:
    """What each account's jobs took, by the same rule as everywhere."""
    policy, first = factory(), 0
    if since is not None:
        first = day_start(since, policy.zone)
    runs = read(backend(system).records(first), system=system.id, cluster=system.cluster.name).runs
    frame = attribute(runs, policy, {}).filter(pl.col("start").is_not_null(), pl.col("start") >= first)
    charged = (pl.col("gpus") + pl.col("held_gpus")) * charged_seconds(now())
    last = (pl.col("start") + pl.col("elapsed")).max().alias("last")
    sums = frame.group_by("account", "user").agg(charged.sum().alias("gpu_s"), pl.col("start").min(), last)
    found: dict[str, list[tuple[str, int, int, int]]] = {}
    for account, *rest in sums.sort("account", "user").iter_rows():
        found.setdefault(account, []).append(tuple(rest))
    return {
        account: Use(
            {user: gpu_s for user, gpu_s, _, _ in rows},
            local_date(min(start for _, _, start, _ in rows), policy.zone),
            local_date(max(end for _, _, _, end in rows), policy.zone),
        )
        for account, rows in found.items()
    }


def checked(path: Path) -> Checked:
    """The edited file. Raises PolicyError with every fault, each with its line and key."""
    adoption, takeovers = parse(_text_of(path), str(path), factory(), LONGEST_CODE)
    known = people({name for takeover in takeovers for name in takeover.members})
    return Checked(adoption, takeovers, strangers(takeovers, known))


def take(path: Path, person: Person) -> tuple[TakenOver, Checked]:
    """Make the projects of the file here, all or none."""
    found = checked(path)
    return take_over(factory(), factory().system(found.adoption.system), found.takeovers, person), found


def marking(found: Checked) -> str:
    """The command by which an operator hands the accounts to the plan."""
    system = factory().system(found.adoption.system)
    names = [*(pool.account for pool in system.pools), *(takeover.code for takeover in found.takeovers)]
    where = f"where name={','.join(names)} cluster={system.cluster.name}"
    return f"sacctmgr modify account {where} set organization={MARK}"


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise BadInput(f"{path}: is larger than {LARGEST_FILE:,} bytes; give a file that `schmelz adopt` wrote")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise BadInput(f"{path}: cannot be read ({why}); give a file that `schmelz adopt` wrote") from None
