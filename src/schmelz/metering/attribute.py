"""Whose run it was and where: project, pool, site and held GPUs for every run.

*project* is the account's name. *pool* is the project's pool; else `overhead` for an overhead account; else the pool
whose account it is or whose patterns match it; else `unassigned`. *site* comes from the names of the run's nodes, else
from its partition, else it is `unknown`. A run over two sites becomes two rows (*part* 0 and 1): GPUs split by nodes.
*held_gpus* are those of its installed nodes that nobody else can use, where the system charges whole nodes.
Each distinct account, node list and partition is looked at once. Invariant: GPUs of the parts add up to the run's.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache

import polars as pl

from schmelz.policy.fields import expand_nodes
from schmelz.policy.nodes import node_matches, wildcards
from schmelz.policy.schema import Factory, System
from schmelz.units import split_by_weight

UNASSIGNED, OVERHEAD, UNKNOWN = "unassigned", "overhead", "unknown"
_BRACKET = re.compile(r"([^\[\],]*)\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]([^\[\],]*)")
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})([^0-9]*)")
_FAR = 10**10
PLACE_SCHEMA: dict[str, pl.DataType] = {
    "code": pl.Int64(),
    "site": pl.Categorical(),
    "part": pl.Int64(),
    "capacity": pl.Int64(),
    "weights": pl.List(pl.Int64()),
}


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


def with_places(runs: pl.DataFrame, factory: Factory, index: Mapping[str, "Places"] | None = None) -> pl.DataFrame:
    """Add site, part and held_gpus to `runs`; a run over several sites becomes several rows.

    `index`: the places of the systems, for whoever calls again and again.
    """
    coded, texts = _coded(runs, "system", "nodes", "partition")
    index = places(factory) if index is None else index
    rows = [(text[-1], *row) for text in texts.iter_rows() for row in _rows(index.get(text[0]), text[1], text[2])]
    where = pl.DataFrame(rows, schema=PLACE_SCHEMA, orient="row")
    found = coded.join(where, on="code", how="left", maintain_order="left")
    held = pl.max_horizontal(0, pl.col("capacity") - pl.col("gpus")).alias("held_gpus")
    return _split_over_sites(found).with_columns(held).drop("code", "capacity", "weights")


def places(factory: Factory) -> dict[str, "Places"]:
    """Where the nodes of each system stand."""
    return {system.id: Places(system) for system in factory.systems}


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


class Places:
    """Where the nodes of one system stand."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.site_of_node = {node: site for site, nodes in system.node_names.items() for node in nodes}
        self.patterns = [(site, text) for site, text in system.nodes.items() if wildcards(text)]
        self.of_stranger = cache(self._of_stranger)
        self.rank = _ranks(self.site_of_node)
        self.places = cache(self._places)

    def names(self, node_list: str) -> tuple[str, ...]:
        """The nodes of a record's list; none when it cannot be read."""
        if "[" not in node_list and "," not in node_list:
            return (node_list,) if node_list else ()
        try:
            return expand_nodes(node_list)
        except ValueError:
            return ()

    def _of_stranger(self, node: str, partition: str) -> str:
        """The site of a node that is not installed by name: by the wildcards of the policy, else by its partition."""
        return next((site for site, text in self.patterns if node_matches(node, text)), None) or self.of_partition(
            partition
        )

    def of_partition(self, partition: str) -> str:
        """The site of a partition (of the first that is known, when a waiting job names several)."""
        for name in partition.split(","):
            for site, patterns in self.system.partitions.items():
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    return site
        return UNKNOWN

    def _places(self, node_list: str, partition: str) -> list[tuple[str, int, int]]:
        """(site, nodes there, how many of those are installed by name) in the order of the sites in the policy."""
        if found := self._within_one_site(node_list):
            return [found]
        names = self.names(node_list)
        installed = Counter(map(self.site_of_node.get, names))
        nodes = Counter(installed)
        if nodes.pop(None, 0):
            nodes.update(self.of_stranger(name, partition) for name in names if name not in self.site_of_node)
        order = [site for site in (*self.system.nodes, UNKNOWN) if nodes[site]]
        return [(site, nodes[site], installed[site]) for site in order] or [(self.of_partition(partition), 1, 0)]

    def _within_one_site(self, node_list: str) -> tuple[str, int, int] | None:
        """The answer for the usual list - one bracket, all of it installed at one site - without naming each node."""
        match = _BRACKET.fullmatch(node_list)
        if match is None:
            return None
        head, inside, tail = match.groups()
        sites, count = set(), 0
        for piece in inside.split(","):
            low, _, high = piece.partition("-")
            first, last = head + low + tail, head + (high or low) + tail
            distance = self.rank.get(last, -1) - self.rank.get(first, -1)
            if first not in self.rank or distance != int(high or low) - int(low) or distance < 0:
                return None
            sites.add(self.site_of_node[first])
            count += distance + 1
        return (sites.pop(), count, count) if len(sites) == 1 else None


def _ranks(site_of_node: Mapping[str, str]) -> dict[str, int]:
    """A number for every node, such that numbers lie as far apart as names only where all between are at one site."""
    ranks: dict[str, int] = {}
    rank, follower = 0, ("", "")
    for node, site in site_of_node.items():
        rank += 1 if (node, site) == follower else _FAR
        ranks[node] = rank
        match = _NUMBERED.fullmatch(node)
        follower = (f"{match[1]}{int(match[2]) + 1:0{len(match[2])}d}{match[3]}", site) if match else ("", "")
    return ranks


def _rows(places: Places | None, nodes: str, partition: str) -> Iterator[tuple[str, int, int, list[int] | None]]:
    if places is None:
        yield UNKNOWN, 0, 0, None
        return
    found = places.places(nodes, partition)
    per_node = places.system.gpus_per_node if places.system.charge == "node" else 0
    weights = [count for _, count, _ in found] if len(found) > 1 else None
    for part, (site, _, installed) in enumerate(found):
        yield site, part, installed * per_node, weights


def _split_over_sites(found: pl.DataFrame) -> pl.DataFrame:
    """Give each part of a run over several sites its GPUs; all other rows stay as they are."""
    several = found["weights"].is_not_null()
    if not several.any():
        return found
    rows = found.filter(several).select("gpus", "weights", "part").rows()
    shares = [split_by_weight(gpus, weights)[part] for gpus, weights, part in rows]
    return found.with_columns(found["gpus"].scatter(several.arg_true(), shares))
