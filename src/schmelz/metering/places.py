"""Where runs ran: from the node lists and partitions of records to sites, and to how many of the nodes are installed.

The *usual* list - a name or one bracket, all of it installed at one site - is looked at in polars, all such lists at once;
any other is looked at name by name. Each distinct list is looked at once per `Places`, however often it comes.
A node that is not installed by name counts to the site whose wildcard it matches, else to that of its partition.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, cached_property

import polars as pl

from schmelz.policy.fields import expand_nodes
from schmelz.policy.nodes import node_matches, wildcards
from schmelz.policy.schema import Factory, System

UNKNOWN = "unknown"
PLACE_SCHEMA: dict[str, pl.DataType] = {
    "code": pl.Int64(),
    "site": pl.Categorical(),
    "part": pl.Int64(),
    "capacity": pl.Int64(),
    "weights": pl.List(pl.Int64()),
}
LISTS = ("nodes", "partition")
KNOWN = {
    **dict.fromkeys(LISTS, pl.Categorical()),
    **{name: PLACE_SCHEMA[name] for name in PLACE_SCHEMA if name != "code"},
}
_BRACKET = r"^([^\[\],]*)\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]([^\[\],]*)$"
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
        self.of_stranger = cache(self._of_stranger)
        self._known = pl.DataFrame(schema=KNOWN)

    def of(self, texts: pl.DataFrame) -> pl.DataFrame:
        """The rows of PLACE_SCHEMA for distinct combinations of nodes and partition, each with its code."""
        known = self._known  # several threads may come: what one of them adds another may lose, and looks up again
        news = texts.join(known, on=LISTS, how="anti")
        if news.height:
            self._known = known = pl.concat([known, *self._looked_up(news.select(LISTS))])
        return texts.join(known, on=LISTS, maintain_order="left_right").select(list(PLACE_SCHEMA))

    def _looked_up(self, news: pl.DataFrame) -> Iterator[pl.DataFrame]:
        per_node = self.system.gpus_per_node if self.system.charge == "node" else 0
        found = news.join(usual(news["nodes"].unique(), self._names), on="nodes")
        yield found.filter(pl.col("site").is_not_null()).select(
            *LISTS,
            "site",
            pl.lit(0, pl.Int64).alias("part"),
            (pl.col("count") * per_node).alias("capacity"),
            pl.lit(None, pl.List(pl.Int64)).alias("weights"),
        )
        others = found.filter(pl.col("site").is_null()).select(LISTS).iter_rows()
        rows = [(*text, *row) for text in others for row in self._rows(per_node, *text)]
        yield pl.DataFrame(rows, schema=KNOWN, orient="row")

    def _rows(self, per_node: int, nodes: str, partition: str) -> Iterator[tuple[str, int, int, list[int] | None]]:
        found = self._name_by_name(nodes, partition)
        weights = [count for _, count, _ in found] if len(found) > 1 else None
        for part, (site, _, installed) in enumerate(found):
            yield site, part, installed * per_node, weights

    @cached_property
    def _names(self) -> pl.DataFrame:
        """Every installed node, its site, and a number such that numbers lie as far apart as names inside one site only."""
        ranks = _ranks(self.site_of_node)
        schema = {"name": pl.String(), "site": pl.Categorical(), "rank": pl.Int64()}
        return pl.DataFrame(
            [(node, self.site_of_node[node], rank) for node, rank in ranks.items()], schema, orient="row"
        )

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


def usual(lists: pl.Series, names: pl.DataFrame) -> pl.DataFrame:
    """Site and number of nodes of distinct lists; without a site where a list is not a name or bracket of one site."""
    text = pl.col("nodes").cast(pl.String)
    parts = text.str.extract_groups(_BRACKET).struct
    ends = (
        pl.DataFrame({"nodes": lists})
        .with_columns(
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
    whole = (pl.col("until") - pl.col("rank") == pl.col("more")) & (pl.col("more") >= 0)
    one = whole.fill_null(False).all() & (pl.col("site").n_unique() == 1)
    return ends.group_by("nodes").agg(
        pl.when(one).then(pl.col("site").first()).alias("site"), (pl.col("more") + 1).sum().alias("count")
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
