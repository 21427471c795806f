"""Access modes: for whom, how much, how long, in which order and by which steps GPU-hours are given.

Words: *audience* (`for` in the file) = the categories that may apply; *order* = how applications are ranked; *steps* =
the reviews before a decision; *cut-off* = the moment at which a round closes; *statement* = what an applicant declares.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schmelz.policy.fields import (
    DISTINCT,
    Count,
    Day,
    Fault,
    Flag,
    Id,
    Line,
    Moment,
    Percent,
    Positive,
    RoleId,
    Table,
    Texts,
    WorkingDays,
    refuse,
)
from schmelz.policy.system import Pacing, System

Category = Id
State = Literal["open", "paused", "closed"]
Order = Literal["first-in-first-out", "ranked", "first-served-among-passing"]
Step = Literal["eligibility", "technical", "peer-review", "panel"]
Price = Literal["free", "market", "indicative", "co-funded"]


class Size(Table):
    """How much may be asked for, and what is proposed when nobody says (in the unit that the key names)."""

    min: Count = 1
    default: Positive
    max: Positive | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.max < self.min:
            refuse([(("max",), f"must be at least the min, {self.min:,}")])
        if self.default < self.min or (self.max is not None and self.default > self.max):
            bounds = f"{self.min:,} or more" if self.max is None else f"{self.min:,} to {self.max:,}"
            refuse([(("default",), f"must lie between min and max: {bounds}")])
        return self


class Criterion(Table):
    """[[modes.criteria]]: what reviewers score: scale 0..scale, the mark to pass, the weight in the sum."""

    id: Id
    title: Texts
    scale: Positive = 5
    threshold: Count = 3
    weight: Positive = 1

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.threshold > self.scale:
            refuse([(("threshold",), f"nobody could pass: the scale ends at {self.scale}")])
        return self


class Limits(Table):
    """[modes.limits]: special limits of an access mode."""

    inference_percent: Percent | None = None
    founded_within_years: Positive | None = None
    first_award_only: Flag = False


class Mode(Table):
    """[[modes]]: an access mode; its applications are decided by its own `signers`, or else by those of its pool.

    `pacing` and `sites` are those of the system unless the mode has its own.
    """

    id: Id
    pool: Id
    systems: Annotated[tuple[Id, ...], Field(min_length=1), DISTINCT]
    title: Texts
    summary: Texts
    audience: Annotated[tuple[Category, ...], Field(alias="for", min_length=1), DISTINCT]
    regions: Annotated[tuple[Id, ...], DISTINCT] = ()
    gpu_hours: Size | None = None
    node_hours: Size | None = None
    months: Annotated[tuple[Positive, ...], Field(min_length=1), DISTINCT]
    order: Order
    steps: Annotated[tuple[Step, ...], Field(min_length=1), DISTINCT]
    criteria: tuple[Criterion, ...] = ()
    answer_in: WorkingDays
    cut_offs: tuple[Moment, ...] = ()
    price: dict[Category, Price]
    statements: Annotated[tuple[Id, ...], DISTINCT] = ()
    signers: Annotated[tuple[RoleId, ...], Field(min_length=2), DISTINCT] | None = None
    pacing: Pacing | None = None
    sites: Annotated[tuple[Id, ...], DISTINCT] = ()
    limits: Limits = Limits()
    state: State
    version: Positive = 1
    source: Line
    read: Day

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(self._faults())
        return self

    def _faults(self) -> list[Fault]:
        faults: list[Fault] = []
        if (self.gpu_hours is None) == (self.node_hours is None):
            faults.append(((), "says the size twice or not at all; give either gpu_hours or node_hours"))
        if self.order == "ranked" and not self.criteria:
            faults.append((("order",), "a ranked mode needs criteria; add [[modes.criteria]] or choose another order"))
        faults += [
            (("cut_offs", index), "is not later than the cut-off before it; write them in the order of time")
            for index in range(1, len(self.cut_offs))
            if self.cut_offs[index] <= self.cut_offs[index - 1]
        ]
        return faults

    def size(self, system: System) -> Size:
        """The mode's bounds in GPU-hours of `system`."""
        if self.gpu_hours:
            return self.gpu_hours
        assert self.node_hours
        per_node = system.gpus_per_node
        largest = None if self.node_hours.max is None else self.node_hours.max * per_node
        return Size(min=self.node_hours.min * per_node, default=self.node_hours.default * per_node, max=largest)


class Statement(Table):
    """[[statements]]: something an applicant must declare, e.g. civil use only."""

    id: Id
    text: Texts
    source: Line
