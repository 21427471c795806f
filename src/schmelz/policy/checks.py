"""Faults between the tables of a policy file: names used twice, names that nobody has, shares that do not add up.

Works on the plain tables as they were read, and passes over whatever has not even the right type, so that one reading
reports these faults together with all others. What must be unique and what refers to what are data: UNIQUE, REFERENCES.
A pattern walks the tables: `systems[].pools[].id` is every id of every pool; a last step `{}` means a table's keys.
"""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase

from schmelz.policy.fields import Fault, KeyPath
from schmelz.policy.nodes import expand_nodes, is_wildcard, node_matches, split_node_list, wildcards

UNIQUE = (
    "categories[].id",
    "regions[].id",
    "partners[].id",
    "network[].id",
    "sites[].id",
    "systems[].id",
    "statements[].id",
    "modes[].id",
    "services[].id",
    "systems[].pools[].id",
    "modes[].criteria[].id",
)

# scope, key in the scope, what it must be one of (in the scope), how that is called
REFERENCES = (
    ("", "factory.coordinator", "partners[].id", "partners"),
    ("", "systems[].operator", "partners[].id", "partners"),
    ("", "systems[].nodes.{}", "sites[].id", "sites"),
    ("", "modes[].systems[]", "systems[].id", "systems"),
    ("", "modes[].for[]", "categories[].id", "categories"),
    ("", "modes[].sites[]", "sites[].id", "sites"),
    ("", "modes[].regions[]", "regions[].id", "regions"),
    ("", "modes[].statements[]", "statements[].id", "statements"),
    ("", "services[].partner", "partners[].id", "partners"),
    ("systems[]", "overhead.booked_to", "pools[].id", "pools of this system"),
    ("systems[]", "partitions.{}", "nodes.{}", "sites of this system"),
    ("modes[]", "price.{}", "for[]", "categories that this mode is for"),
)

SIGNERS = (
    "systems[].pools[].signers[]",
    "systems[].steering.signers[]",
    "modes[].signers[]",
    "closing.signers[]",
)

TEXTS = (
    "categories[].title",
    "regions[].title",
    "statements[].text",
    "modes[].title",
    "modes[].summary",
    "modes[].criteria[].title",
    "services[].title",
)


def at(data: object, pattern: str) -> list[tuple[KeyPath, object]]:
    """Every place in `data` that the pattern names, with what stands there; what is absent or misshapen is left out."""
    found: list[tuple[KeyPath, object]] = [((), data)]
    for step in pattern.split(".") if pattern else ():
        found = [(path + tail, value) for path, table in found for tail, value in _inside(table, step)]
    return found


def _inside(table: object, step: str) -> Iterator[tuple[KeyPath, object]]:
    if not isinstance(table, dict):
        return
    key = step.removesuffix("[]")
    value = table.get(key)
    if step == "{}":
        yield from (((name,), name) for name in table)
    elif step.endswith("[]"):
        yield from (((key, index), one) for index, one in enumerate(value)) if isinstance(value, list | tuple) else ()
    elif value is not None:
        yield (key,), value


def _words(data: object, pattern: str) -> list[tuple[KeyPath, str]]:
    return [(path, value) for path, value in at(data, pattern) if isinstance(value, str)]


def _numbers(data: object, pattern: str) -> list[tuple[KeyPath, int]]:
    """Percentages and weights: whole numbers of a plausible size; others are reported where they stand."""
    return [(path, value) for path, value in at(data, pattern) if type(value) is int and 0 <= value <= 10**12]


def faults_between_tables(data: object) -> list[Fault]:
    """All of them, each at the key that is to be changed."""
    return [fault for check in CHECKS for fault in check(data)]


def _used_twice(data: object) -> Iterator[Fault]:
    for pattern in UNIQUE:
        first: dict[tuple[KeyPath, str], KeyPath] = {}
        for path, name in _words(data, pattern):
            before = first.setdefault((path[:-2], name), path)
            if before is not path:
                yield path, f'"{name}" is used twice, first in {dotted(before[:-1])}; give each its own'


def _unknown(data: object) -> Iterator[Fault]:
    for scope, pattern, target, called in REFERENCES:
        for where, table in at(data, scope):
            known = [name for _, name in _words(table, target)]
            yield from (
                (where + path, not_one_of(name, known, called))
                for path, name in _words(table, pattern)
                if name not in known
            )


def _unknown_signers(data: object) -> Iterator[Fault]:
    known = [
        f"{name}:{function}"
        for _, partner in at(data, "partners[]")
        for _, name in _words(partner, "id")
        for _, function in _words(partner, "functions[]")
    ]
    yield from (
        (path, not_one_of(role, known, "functions of the partners"))
        for pattern in SIGNERS
        for path, role in _words(data, pattern)
        if role not in known
    )


def _weights(data: object) -> Iterator[Fault]:
    for where, system in at(data, "systems[]"):
        weights = _numbers(system, "pools[].weight")
        total = sum(weight for _, weight in weights)
        if weights and len(weights) == len(at(system, "pools[]")) and total != 100:
            shares = " + ".join(str(weight) for _, weight in weights)
            yield (*where, "pools"), f"the weights add up to {total} ({shares}); they must add up to 100"
        for path, floor in _numbers(system, "sharing.floor_percent"):
            smallest = min((weight for _, weight in weights), default=floor)
            if floor > smallest:
                yield where + path, f"the floor of {floor} is above the smallest pool's weight; at most {smallest}"


def _accounts(data: object) -> Iterator[Fault]:
    """A record must belong to one pool only: no account of one owner may match the pattern of another."""
    for where, system in at(data, "systems[]"):
        claims = [
            (path, name)
            for pattern in ("pools[].account", "pools[].accounts[]", "overhead.accounts[]")
            for path, name in _words(system, pattern)
        ]
        for index, (path, name) in enumerate(claims):
            rivals = [
                other
                for other, pattern in claims[:index]
                if other[:2] != path[:2] and (fnmatchcase(name, pattern) or fnmatchcase(pattern, name))
            ]
            if rivals:
                yield where + path, f'"{name}" meets {dotted(where + rivals[0])}; an account belongs to one pool'


def _nodes(data: object) -> Iterator[Fault]:
    for where, system in at(data, "systems[]"):
        lists = [
            (path, text)
            for site, _ in at(system, "nodes.{}")
            for path, text in _words(system, f"nodes.{site[-1]}")
            if _readable(text)
        ]
        for index, (path, text) in enumerate(lists):
            for other, earlier in lists[:index]:
                if both := _in_both(text, earlier):
                    yield where + path, f"{both} stands in {dotted(where + other)} as well; a node stands at one site"
        for path, text in _words(system, "maintenance[].nodes"):
            stray = next((n for n in _parts(text) if not any(_covers(known, n) for _, known in lists)), None)
            if stray:
                yield where + path, f"{stray} is no node of this system; its nodes: {', '.join(t for _, t in lists)}"


def _readable(text: str) -> bool:
    try:
        return bool(expand_nodes(text)) or bool(wildcards(text))
    except ValueError:
        return False


def _parts(text: str) -> tuple[str, ...]:
    return expand_nodes(text) + wildcards(text) if _readable(text) else ()


def _covers(known: str, node: str) -> bool:
    if not is_wildcard(node):
        return node_matches(node, known)
    return node in split_node_list(known) or any(fnmatchcase(name, node) for name in expand_nodes(known))


def _in_both(one: str, other: str) -> str | None:
    common = next((name for name in _parts(one) if node_matches(name, other)), None)
    return common or next((name for name in _parts(other) if node_matches(name, one)), None)


def _partitions(data: object) -> Iterator[Fault]:
    for where, system in at(data, "systems[]"):
        seen: dict[str, KeyPath] = {}
        for site, _ in at(system, "partitions.{}"):
            for path, name in _words(system, f"partitions.{site[-1]}[]"):
                if seen.setdefault(name, path)[1] != path[1]:
                    other = dotted(where + seen[name][:2])
                    yield where + path, f'"{name}" stands in {other} too; it would not tell the site'


def _clusters(data: object) -> Iterator[Fault]:
    seen: dict[str, KeyPath] = {}
    for where, cluster in at(data, "systems[].cluster"):
        if isinstance(cluster, dict) and cluster.get("backend", "none") != "none":
            name = str(cluster.get("name", "local"))
            if seen.setdefault(name, where) is not where:
                yield (*where, "name"), f'"{name}" is the cluster of {dotted(seen[name][:-1])} too; give each its own'


def _modes(data: object) -> Iterator[Fault]:
    systems = {name: system for _, system in at(data, "systems[]") for _, name in _words(system, "id")}
    for where, mode in at(data, "modes[]"):
        wanted = [systems[name] for _, name in _words(mode, "systems[]") if name in systems]
        for path, pool in _words(mode, "pool"):
            pools = [[name for _, name in _words(system, "pools[].id")] for system in wanted]
            yield from (
                (where + path, not_one_of(pool, known, "pools of its systems")) for known in pools if pool not in known
            )
        gpus = [number for system in wanted for _, number in _numbers(system, "gpus_per_node")]
        if at(mode, "node_hours") and 0 in gpus:
            yield (*where, "node_hours"), "a system of this mode has no GPUs in its nodes; leave that system out"
        unpriced = {name for _, name in _words(mode, "for[]")} - {name for _, name in _words(mode, "price.{}")}
        yield from (
            ((*where, "price"), f'says nothing for "{name}"; every category of `for` needs a price')
            for name in sorted(unpriced)
            if at(mode, "price")
        )


def _languages(data: object) -> Iterator[Fault]:
    """Every text must exist in the factory's first language, which stands in where a translation is missing."""
    first = [language for _, language in _words(data, "factory.languages[]")][:1]
    for pattern in TEXTS:
        yield from (
            (path, f'is not said in the factory\'s first language; add {language} = "..."')
            for language in first
            for path, texts in at(data, pattern)
            if isinstance(texts, dict) and language not in texts
        )


CHECKS: tuple[Callable[[object], Iterable[Fault]], ...] = (
    _used_twice,
    _unknown,
    _unknown_signers,
    _weights,
    _accounts,
    _nodes,
    _partitions,
    _clusters,
    _modes,
    _languages,
)


def not_one_of(name: str, known: list[str], called: str) -> str:
    """Says that a name is unknown, which name may have been meant, and which there are."""
    near = get_close_matches(name, known, n=1)
    meant = f'did you mean "{near[0]}"? ' if near else ""
    return f'"{name}" is not one of the {called}; {meant}({called}: {", ".join(known) or "none"})'


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `systems[0].pools[1].weight`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
