"""The statement of a pool and a quarter: the split that the owners sign, exact to the GPU-second.

It shows all pools of the system side by side, because each is the other's lender; the months, the commercial gauge and
the site use are the pool's own. The lines under it are for the signers of closings: a line carries a name once that
signer has countersigned every month of the window.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields

from schmelz.faults import BadInput
from schmelz.metering.split import Split
from schmelz.metering.statement import Column, SignatureLine, Statement, Table, Value, number, total
from schmelz.metering.supply import Supply
from schmelz.policy.schema import Factory, Pool, System
from schmelz.portal.clock import now
from schmelz.portal.ledger.queries import closings
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import commercial_use, split, usage
from schmelz.portal.projects.outlook import gauges

POOL_LINES = (
    ("carry_gpu_s", "carried from the window before"),
    ("entitlement_gpu_s", "entitlement, carry included"),
    ("used_gpu_s", "used"),
    ("own_gpu_s", "own"),
    ("returned_gpu_s", "returned"),
    ("borrowed_gpu_s", "borrowed"),
    ("lent_gpu_s", "lent"),
    ("deficit_gpu_s", "deficit (entitlement less used)"),
    ("demand_gpu_s", "demand"),
    ("shortfall_gpu_s", "shortfall"),
    ("late_gpu_s", "late"),
)
FLOWS = ("entitlement_gpu_s", "used_gpu_s", "own_gpu_s", "returned_gpu_s", "borrowed_gpu_s", "lent_gpu_s")


def of_pool(system: System, pool_id: str, quarter: str) -> Statement:
    """The statement of a pool in a quarter, or in a month or a year. Raises BadInput."""
    pool = next((one for one in system.pools if one.id == pool_id), None)
    if pool is None:
        raise BadInput(f"pool: {pool_id!r} is not known; one of: {', '.join(p.id for p in system.pools)}")
    policy, moment = factory(), now()
    found = split(system, quarter, moment)
    return Statement(
        "pool",
        f"statement-{system.id}-{pool.id}-{found.window}",
        f"The split of {system.title}: {pool.title}, {found.window}",
        found.period.end,
        tuple(_facts(policy, system, pool, found)),
        (
            _supply(policy, found),
            _pools(system, found),
            _months(pool, found),
            _use(policy, system, pool, found),
            *_commercial(system, pool, found, found.as_of == moment),
        ),
        tuple(signatures(policy, {f"{day.day:%Y-%m}" for day in found.days})),
    )


def _facts(policy: Factory, system: System, pool: Pool, found: Split) -> Iterator[tuple[str, str]]:
    error = found.share_error_ppm
    yield "pool", f"{pool.title}, {pool.weight} of {system.weight_sum} parts"
    yield "agreed shares", ", ".join(f"{p.title} {p.weight}" for p in system.pools)
    yield "machine", f"{system.title}, {system.gpus()} GPUs"
    yield "window", f"{found.window}, days of {policy.factory.zone}"
    yield (
        "share error",
        "not defined: not every pool asked for its whole share" if error is None else f"{error} millionths",
    )


def _supply(policy: Factory, found: Split) -> Table:
    titles = {site.id: site.title for site in policy.sites}
    sites = [*((titles.get(s.site, s.site), s.site, s.supply, s.installed_gpu_s) for s in found.sites)]
    sites += [("all sites", "all", found.supply, found.installed_gpu_s)] if len(sites) > 1 else []
    columns = (Column("line", "line"), *(Column(f"{key}_gpu_s", title, "gpu") for title, key, _, _ in sites))
    lines = [_words(field.name) for field in fields(Supply)]
    values = zip(*((*astuple(supply)[:-1], -supply.excess) for _, _, supply, _ in sites), strict=True)
    rows: list[tuple[Value, ...]] = [(line, *row) for line, row in zip(lines, values, strict=True)]
    rows.append(("installed", *(whole for _, _, _, whole in sites)))
    note = (
        f"The lines add up to what is installed. Delivered: {number(found.delivered_gpu_s)}; "
        f"overhead within its cap: {number(found.overhead_gpu_s)}."
    )
    return Table("supply", "Where every GPU was", columns, tuple(rows), note, sums=True, exact=True)


def _words(line: str) -> str:
    return {"reserved_idle": "idle in a reservation", "excess": "less: claimed beyond what is installed"}.get(
        line, line
    )


def _pools(system: System, found: Split) -> Table:
    columns = (Column("line", "line"), *(Column(f"{p.id}_gpu_s", p.title, "gpu") for p in system.pools))
    rows = tuple((words, *(getattr(pool, key) for pool in found.pools)) for key, words in POOL_LINES)
    note = "Own, returned and borrowed add up to used; over the pools, lent is borrowed and returned."
    return Table("pools", "What each side got", columns, rows, note, exact=True)


def _months(pool: Pool, found: Split) -> Table:
    columns = (Column("month", "month"), *(Column(key, key.removesuffix("_gpu_s"), "gpu") for key in FLOWS))
    months: dict[str, list[int]] = {}
    for day in found.days:
        one = next(p for p in day.pools if p.pool == pool.id)
        sums = months.setdefault(f"{day.day:%Y-%m}", [0] * len(FLOWS))
        months[f"{day.day:%Y-%m}"] = [a + getattr(one, key) for a, key in zip(sums, FLOWS, strict=True)]
    rows: list[tuple[Value, ...]] = [(month, *sums) for month, sums in months.items()]
    note = "Entitlement of the month alone, without carry."
    return Table(
        "months", f"{pool.title} by month", columns, (*rows, total(rows, columns)), note, sums=True, exact=True
    )


def _use(policy: Factory, system: System, pool: Pool, found: Split) -> Table:
    titles = {site.id: site.title for site in policy.sites}
    columns = (
        Column("site", "site"),
        Column("runs", "jobs started", "count"),
        Column("used_gpu_s", "used", "gpu"),
        Column("held_gpu_s", "held", "gpu"),
    )
    rows: list[tuple[Value, ...]] = []
    if found.days:
        frame = usage(["system", "pool", "site"], found.days[0].day, found.days[-1].day, held=True)
        rows = [
            (titles.get(row["site"], row["site"]), row["runs"], row["gpu_s"], row["held_gpu_s"])
            for row in frame.to_dicts()
            if (row["system"], row["pool"]) == (system.id, pool.id)
        ]
    note = "Of the pool's jobs; idle reservations and overhead that are booked to it are in its use above."
    return Table("sites", f"{pool.title} by site", columns, (*rows, total(rows, columns)), note, sums=True, exact=True)


def _commercial(system: System, pool: Pool, found: Split, lasts: bool) -> Iterator[Table]:
    """The commercial use of the year by the end of the window, held GPUs included, where the pool has a ceiling."""
    percent = pool.commercial_ceiling_percent
    if percent is None or not found.days:
        return
    last = found.days[-1].day
    used = commercial_use(system, pool.id, last.replace(month=1, day=1), last)
    year = split(system, str(last.year), found.period.end)
    share = year.delivered_gpu_s * pool.weight // system.weight_sum
    rows: list[tuple[Value, ...]] = [
        ("commercial use of the year by then", used),
        ("the pool's share of what was delivered by then", share),
        (f"{percent} % of it", share * percent // 100),
    ]
    part = f"{used * 100 / share:.2f} % of the share" if share else "nothing was delivered"
    note = f"{part[0].upper()}{part[1:]}, year {last.year}."
    if lasts:
        rows += _ahead(system, pool)
        note += " The gauge is used and committed against the share of the whole year."
    columns = (Column("what", "what"), Column("gpu_s", "GPU-time", "gpu"))
    yield Table("commercial", "Commercial use", columns, tuple(rows), note, exact=True)


def _ahead(system: System, pool: Pool) -> Iterator[tuple[Value, ...]]:
    """The gauge, while the window lasts."""
    gauge = next(one for one in gauges(system) if one.pool == pool.id)
    yield "the pool's share of the whole year, projected", gauge.share_gpu_s
    yield "the ceiling", gauge.ceiling_gpu_s
    yield "committed by awards", gauge.committed_gpu_s
    yield "gauge", gauge.gauge_gpu_s
    yield "room for awards", gauge.room_gpu_s


def signatures(policy: Factory, months: Iterable[str]) -> Iterator[SignatureLine]:
    """A line for each signer of closings, with name and moment once every one of the months is signed by them."""
    wanted = set(months)
    rows = [row for row in closings() if row.month in wanted]
    for role in policy.closing_signers:
        partner, _, function = role.partition(":")
        title = f"{policy.partner(partner).name}, {function}"
        signed = [one for row in rows for one in row.signatures.all() if one.role == role]
        if wanted and len(signed) == len(wanted):
            names = dict.fromkeys(one.person.name if one.person else "" for one in signed)
            yield SignatureLine(title, ", ".join(names), max(one.at for one in signed))
        else:
            yield SignatureLine(title)
