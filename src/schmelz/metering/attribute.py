"""Whose run it was and where: project, pool, site and held GPUs for every run.

*project* is the account's name. *pool* is the project's pool; else `overhead` for an overhead account; else the pool
whose account it is or whose patterns match it; else `unassigned`. *site* comes from the names of the run's nodes, else
from its partition, else it is `unknown`. A run over two sites becomes two rows (*part* 0 and 1): GPUs split by nodes.
*held_gpus* are those of its installed nodes that nobody else can use, where the system charges whole nodes.
Each distinct account, node list and partition is looked at once. Invariant: GPUs of the parts add up to the run's.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import polars as pl

from schmelz.metering.places import LISTS, UNKNOWN, Places, places
from schmelz.policy.schema import Factory, System
from schmelz.units import split_by_weight

UNASSIGNED, OVERHEAD = "unassigned", "overhead"


def attribute(runs: pl.DataFrame, factory: Factory, projects: Mapping[str, str]) -> pl.DataFrame:
    """Add project, pool, site, part and held_gpus to `runs`. `projects`: account -> pool, for those that are ours."""
    return with_pools(with_places(runs, factory), factory, projects)


def with_pools(runs: pl.DataFrame, factory: Factory, projects: Mapping[str, str]) -> pl.DataFrame:
    """Add project and pool to rows with a system and an account."""
    systems = {system.id: system for system in factory.systems}
    coded, accounts = _coded(runs, "system", "account")
    pools = [
        pool_of(account, systems[system], projects) if system in systems else UNASSIGNED
        for system, account in accounts.select("system", "account").iter_rows()
    ]
    found = coded.join(
        accounts.select("code", pl.Series("pool", pools, pl.Categorical)), on="code", maintain_order="left"
    )
    return found.drop("code").with_columns(pl.col("account").alias("project"))


def with_places(runs: pl.DataFrame, factory: Factory, index: Mapping[str, Places] | None = None) -> pl.DataFrame:
    """Add site, part and held_gpus to `runs`; a run over several sites becomes several rows.

    `index`: the places of the systems, for whoever calls again and again.
    """
    index = places(factory) if index is None else index
    systems = runs["system"].unique().to_list()
    if len(systems) == 1:
        return _placed(runs, index.get(systems[0]))
    row = runs.with_row_index("row")
    found = [_placed(row.filter(pl.col("system") == system), index.get(system)) for system in systems]
    return pl.concat(found or [_placed(row, None)]).sort("row", maintain_order=True).drop("row")


def _placed(runs: pl.DataFrame, places: Places | None) -> pl.DataFrame:
    """The runs of one system with their places; None: it is not known."""
    nowhere = pl.lit(UNKNOWN, pl.Categorical())
    if places is None:
        return runs.with_columns(
            nowhere.alias("site"), *(pl.lit(0, pl.Int64).alias(name) for name in ("part", "held_gpus"))
        )
    site, installed = places.usual(runs["nodes"].cast(pl.Categorical))
    found = runs.with_columns(
        site.alias("site"), pl.lit(0, pl.Int64).alias("part"), (installed * places.per_node).alias("capacity")
    )
    if site.has_nulls():
        others = places.others(runs.filter(site.is_null()).select(LISTS).unique(maintain_order=True))
        names = {name: f"other {name}" for name in ("site", "part", "capacity")}
        found = found.join(others.rename(names), on=LISTS, how="left", maintain_order="left_right")
        found = found.with_columns(pl.coalesce(other, name).alias(name) for name, other in names.items())
        found = _split_over_sites(found).drop("weights", *names.values())
    held = pl.max_horizontal(0, pl.col("capacity") - pl.col("gpus")).alias("held_gpus")
    return found.with_columns(held).drop("capacity")


def _coded(runs: pl.DataFrame, *keys: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`runs` with a number for each combination of the keys, and the combinations: numbers join faster than texts."""
    code = pl.lit(0, pl.Int64)
    for key in keys:
        numbers = runs[key].cast(pl.Categorical).to_physical().cast(pl.Int64)
        code = code * (int(numbers.max() or 0) + 1) + pl.lit(numbers)  # type: ignore[arg-type]
    coded = runs.with_columns(code.alias("code"))
    return coded, coded.select(*keys, "code").unique("code", maintain_order=True)


def pool_of(account: str, system: System, projects: Mapping[str, str]) -> str:
    """The pool that pays for an account's runs."""
    if account in projects:
        return projects[account]
    if system.overhead and any(fnmatchcase(account, pattern) for pattern in system.overhead.accounts):
        return OVERHEAD
    return next(
        (
            pool.id
            for pool in system.pools
            if account == pool.account or any(fnmatchcase(account, pattern) for pattern in pool.accounts)
        ),
        UNASSIGNED,
    )


def _split_over_sites(found: pl.DataFrame) -> pl.DataFrame:
    """Give each part of a run over several sites its GPUs; all other rows stay as they are."""
    several = found["weights"].is_not_null()
    if not several.any():
        return found
    rows = found.filter(several).select("gpus", "weights", "part").rows()
    shares = [split_by_weight(gpus, weights)[part] for gpus, weights, part in rows]
    return found.with_columns(found["gpus"].scatter(several.arg_true(), shares))
