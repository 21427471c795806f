"""A system: nodes per site, GPUs per node, the pools that own it by weight, and the rule by which they share it.

Words: *pool* = an owner's share; *sharing* = the rule of the split; *overhead* = work that no share pays, up to a cap;
*maintenance* = a planned window that belongs to nobody. Source of the rule: the definitions page.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schmelz.policy.fields import (
    DISTINCT,
    AccountPattern,
    Count,
    Flag,
    Id,
    Line,
    Moment,
    NodeList,
    PartitionName,
    Percent,
    Positive,
    PositiveSpan,
    RoleId,
    Span,
    Table,
    expand_nodes,
    refuse,
)

Pacing = Literal["whole", "monthly", "carry-over"]


class Pool(Table):
    """[[systems.pools]]: an owner's share of one system.

    `account` is the pool's account in the cluster's tree; `accounts` are the patterns by which records of accounts that
    are no project of ours are still counted in the pool; `signers` propose and sign awards, in this order.
    """

    id: Id
    title: Line
    weight: Positive
    account: Id
    accounts: Annotated[tuple[AccountPattern, ...], DISTINCT] = ()
    signers: Annotated[tuple[RoleId, ...], Field(min_length=2), DISTINCT]
    tint: Literal["iron", "ember", "moss", "plum"] = "iron"
    commercial_ceiling_percent: Percent | None = None
    source: Line | None = None


class Sharing(Table):
    """[systems.sharing]: the rule of the split."""

    window: Literal["year", "quarter", "month"] = "year"
    basis: Literal["delivered"] = "delivered"
    floor_percent: Percent = 25
    dead_band_ppm: Count = 1000
    carry_percent: Percent = 5
    minimum_run: Span = 7200
    cycle: PositiveSpan = 60
    borrowed_charge: Literal["full", "none", "none-for-lost"] = "full"
    source: Line | None = None


class Overhead(Table):
    """[systems.overhead]: accounts of health checks, benchmarks and urgent work; over the cap `booked_to` pays."""

    accounts: Annotated[tuple[AccountPattern, ...], Field(min_length=1), DISTINCT]
    cap_percent: Percent
    booked_to: Id


class Maintenance(Table):
    """[[systems.maintenance]]: a planned window in which `nodes` belong to nobody."""

    start: Moment
    end: Moment
    nodes: NodeList
    reason: Line

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.end <= self.start:
            refuse([(("end",), f"must be later than the start, {self.start.isoformat()}")])
        return self


class Steering(Table):
    """[systems.steering]: who may allow the fast steering of the caps (a *mandate*), for how long, and how it moves.

    Without this table, or without a mandate in force, nothing is steered and each pool keeps the cap of its share.
    """

    signers: Annotated[tuple[RoleId, ...], Field(min_length=2), DISTINCT]
    step: PositiveSpan = 15
    stale_after: PositiveSpan = 900
    longest_days: Positive = 92


class Cluster(Table):
    """[systems.cluster]: the engine that runs jobs: `local` (processes here), `slurm`, `tape` (replay) or `none`.

    `pi_coordinates`: principal investigators are coordinators of their account. `removals_alone`: how many removals one
    operator may apply; more need the approval of a second.
    """

    backend: Literal["local", "slurm", "tape", "none"] = "none"
    name: Id = "local"
    root: Id = "root"
    default_time: PositiveSpan = 3600
    max_time: PositiveSpan = 172800
    pi_coordinates: Flag = False
    removals_alone: Count = 20

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.default_time > self.max_time:
            refuse([(("default_time",), "must not be longer than max_time")])
        return self


class System(Table):
    """[[systems]]: a machine: nodes per site, GPUs per node, the pools that share it and the rule they share by."""

    id: Id
    title: Line
    operator: Id
    kind: Literal["ai-optimised", "mid-range", "high-end", "quantum"]
    state: Literal["planned", "in-service", "retired"]
    gpus_per_node: Count
    charge: Literal["node", "gpu"]
    unit: Literal["gpu-hours", "node-hours"] = "gpu-hours"
    pacing: Pacing = "whole"
    nodes: dict[Id, NodeList]
    partitions: dict[Id, Annotated[tuple[PartitionName, ...], DISTINCT]] = {}
    pools: Annotated[tuple[Pool, ...], Field(min_length=1)]
    sharing: Sharing = Sharing()
    overhead: Overhead | None = None
    maintenance: tuple[Maintenance, ...] = ()
    cluster: Cluster = Cluster()
    steering: Steering | None = None
    source: Line

    @cached_property
    def weight_sum(self) -> int:
        return sum(p.weight for p in self.pools)

    @cached_property
    def node_names(self) -> dict[str, tuple[str, ...]]:
        """The nodes of each site, in the order of the file."""
        return {site: expand_nodes(nodes) for site, nodes in self.nodes.items()}

    def gpus(self, site: str | None = None) -> int:
        """GPUs installed at a site, or in the whole system."""
        return self.gpus_per_node * sum(len(n) for s, n in self.node_names.items() if site in (None, s))

    def pool(self, pool_id: str) -> Pool:
        """The pool of that id; KeyError when there is none."""
        return {p.id: p for p in self.pools}[pool_id]
