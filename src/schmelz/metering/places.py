"""Where runs ran: from the node lists and partitions of records to sites, and to how many of the nodes are installed.

A *usual* list - a name or one bracket, all of it installed at one site, or none of it installed and all of it of one
wildcard - is looked at in polars, all such lists at once; any other is looked at name by name. Each distinct list is looked
at once per `Places`, however often it comes. A node that is not installed by name counts to the site whose wildcard it
matches, else to that of its partition.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, cached_property

import polars as pl

from schmelz.policy.nodes import expand_nodes, node_matches, wildcards
from schmelz.policy.schema import Factory, System

UNKNOWN = "unknown"
LISTS = ("nodes", "partition")
OTHERS: dict[str, pl.DataType] = {
    "nodes": pl.Categorical(),
    "partition": pl.Categorical(),
    "site": pl.Categorical(),
    "part": pl.Int64(),
    "capacity": pl.Int64(),
    "weights": pl.List(pl.Int64()),
}
USUAL: dict[str, pl.DataType] = {"seen": pl.Boolean(), "site": pl.Int64(), "installed": pl.Int64()}
_BRACKET = r"^([^\[\],]*)\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]([^\[\],]*)$"
_PLAIN = r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*\][A-Za-z0-9._-]*)?$"
_MANY = 10_000  # nodes in a list: then name by name, which has a limit
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})([^0-9]*)")
_FAR = 10**10


def places(factory: Factory) -> dict[str, "Places"]:
    """Where the nodes of each system stand."""
    return {system.id: Places(system) for system in factory.systems}


class Places:
    """Where the nodes of one system stand."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.site_of_node = {node: site for site, nodes in system.node_names.items() for node in nodes}
        self.patterns = [(site, text) for site, text in system.nodes.items() if wildcards(text)]
        self.per_node = system.gpus_per_node if system.charge == "node" else 0
        self.sites = pl.Series(list(system.nodes), dtype=pl.Categorical)
        self.of_stranger = cache(self._of_stranger)
        self._others = cache(self._name_by_name)
        self._in_order = sorted(self.site_of_node)
        self._usual = pl.DataFrame(schema=USUAL)  # a row for each number of a category

    def usual(self, lists: pl.Series) -> tuple[pl.Series, pl.Series]:
        """The site of every list and how many of its nodes are installed; null where a list is not usual."""
        codes, known = (
            lists.to_physical(),
            self._usual,
        )  # several threads may come: each goes on with what it has itself
        missing = int(codes.max() or 0) + 1 - known.height  # type: ignore[arg-type]
        if missing > 0:
            nothing = pl.DataFrame({"seen": [False], "site": [None], "installed": [None]}, schema=USUAL)
            known = pl.concat([known, nothing.select(pl.all().repeat_by(missing).explode())])
        if not known["seen"].gather(codes).all():
            known = self._usual = self._with(known, lists.unique())
        return self.sites.gather(known["site"].gather(codes)), known["installed"].gather(codes)

    def _with(self, known: pl.DataFrame, lists: pl.Series) -> pl.DataFrame:
        """What is known, and these distinct lists."""
        news = lists.filter(~known["seen"].gather(lists.to_physical()))
        found = usual(news, self._names, self._heads)
        codes = found["nodes"].to_physical()
        return known.with_columns(
            known["seen"].scatter(codes, True),
            known["site"].scatter(codes, found["site"]),
            known["installed"].scatter(codes, found["installed"]),
        )

    def others(self, texts: pl.DataFrame) -> pl.DataFrame:
        """The places of distinct lists and partitions that are not usual; a list over several sites has several rows."""
        rows = [(*text, *row) for text in texts.select(LISTS).iter_rows() for row in self._rows(*text)]
        return pl.DataFrame(rows, schema=OTHERS, orient="row")

    def _rows(self, nodes: str, partition: str) -> Iterator[tuple[str, int, int, list[int] | None]]:
        found = self._others(nodes, partition)
        weights = [count for _, count, _ in found] if len(found) > 1 else None
        for part, (site, _, installed) in enumerate(found):
            yield site, part, installed * self.per_node, weights

    def _heads(self, heads: pl.Series) -> pl.DataFrame:
        """For distinct beginnings of names: the site of all nodes whose names begin so, where a wildcard alone decides it."""
        sites = pl.Series("stranger", [self._stranger(head) for head in heads.to_list()], pl.Int64)
        return pl.DataFrame({"head": heads, "stranger": sites})

    def _stranger(self, head: str) -> int | None:
        at = bisect_left(self._in_order, head)
        if not head or (at < len(self._in_order) and self._in_order[at].startswith(head)):
            return None  # some such node is installed
        for site, text in self.patterns:
            for begin in (wildcard.removesuffix("*") for wildcard in wildcards(text)):
                if "*" in begin or "?" in begin or (begin.startswith(head) and begin != head):
                    return None
                if head.startswith(begin):
                    return list(self.system.nodes).index(site)
        return None

    @cached_property
    def _names(self) -> pl.DataFrame:
        """Every installed node, its site, and a number such that numbers lie as far apart as names inside one site only."""
        sites, ranks = list(self.system.nodes), _ranks(self.site_of_node)
        rows = [(node, sites.index(self.site_of_node[node]), rank) for node, rank in ranks.items()]
        return pl.DataFrame(rows, {"name": pl.String(), "site": pl.Int64(), "rank": pl.Int64()}, orient="row")

    # -- any other list

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

    def _name_by_name(self, node_list: str, partition: str) -> list[tuple[str, int, int]]:
        """(site, nodes there, how many of those are installed by name) in the order of the sites in the policy."""
        names = self.names(node_list)
        installed = Counter(map(self.site_of_node.get, names))
        nodes = Counter(installed)
        if nodes.pop(None, 0):
            nodes.update(self.of_stranger(name, partition) for name in names if name not in self.site_of_node)
        order = [site for site in (*self.system.nodes, UNKNOWN) if nodes[site]]
        return [(site, nodes[site], installed[site]) for site in order] or [(self.of_partition(partition), 1, 0)]


def usual(lists: pl.Series, names: pl.DataFrame, heads: Callable[[pl.Series], pl.DataFrame]) -> pl.DataFrame:
    """Site and number of installed nodes of distinct lists; without a site where a list is not usual."""
    text = pl.col("nodes").cast(pl.String)
    parts = text.str.extract_groups(_BRACKET).struct
    ends = (
        pl.DataFrame({"nodes": lists})
        .with_columns(
            plain=text.str.contains(_PLAIN),
            head=pl.coalesce(parts.field("1"), text),
            piece=pl.coalesce(parts.field("2"), pl.lit("")).str.split(","),
            tail=pl.coalesce(parts.field("3"), pl.lit("")),
        )
        .explode("piece")
        .with_columns(low=pl.col("piece").str.extract(r"^([0-9]*)"), high=pl.col("piece").str.extract(r"([0-9]*)$"))
        .with_columns(
            first=pl.concat_str("head", "low", "tail"),
            last=pl.concat_str("head", "high", "tail"),
            more=pl.when(pl.col("low") == pl.col("high")).then(0)
            .otherwise(pl.col("high").cast(pl.Int64, strict=False) - pl.col("low").cast(pl.Int64, strict=False)),
        )
        .join(names, left_on="first", right_on="name", how="left")
        .join(names.select("name", until="rank"), left_on="last", right_on="name", how="left")
    )  # fmt: skip
    forward = (pl.col("more") >= 0).fill_null(False)
    whole = (pl.col("until") - pl.col("rank") == pl.col("more")).fill_null(False) & forward
    count = (pl.col("more") + 1).sum()
    found = ends.group_by("nodes").agg(
        pl.when(whole.all() & (pl.col("site").n_unique() == 1)).then(pl.col("site").first()).alias("site"),
        pl.when(pl.col("plain").first() & forward.all() & (count < _MANY)).then(pl.col("head").first()).alias("head"),
        count.alias("installed"),
    )
    strange = found.filter(pl.col("site").is_null() & pl.col("head").is_not_null())["head"].unique()
    return found.join(heads(strange), on="head", how="left").select(
        "nodes",
        pl.coalesce("site", "stranger").alias("site"),
        pl.when(pl.col("site").is_not_null()).then("installed").otherwise(0).alias("installed"),
    )


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
