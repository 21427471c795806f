"""The figures of the contended hour: what each way came to, the yardstick, the table. Measured by `steering.py`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import mean

from cluster.replay import Replay, Trial
from schmelz.rules.queue import next_starts

NODES, GPUS = 4, 32  # nodes of four GPUs at each of two sites
SHARE, FLOOR = GPUS // 2, GPUS // 4
SECONDS = {"alone": 60, "even": 120, "leads": 200, "gone": 60}
SETTLED = 45  # seconds after which the jobs of the scene before are over
Sample = tuple[float, int, int]


@dataclass
class Way:
    """What one way of steering came to: samples (time, GPUs of eurohpc, GPUs of luxembourg) of each scene, its jobs.

    `preempted`: how many jobs of each QOS Slurm put back into the queue; `back`: seconds until their GPUs were given.
    """

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    moves: int = 0
    jobs: list[Trial] = field(default_factory=list)
    preempted: dict[str, int] = field(default_factory=dict)
    back: float | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Way":
        facts = json.loads(text)
        return Way(**facts | {"jobs": [Trial(**job) for job in facts["jobs"]]})

    def since(self, scene: str, reached: Callable[[int, int], bool]) -> float | None:
        """Seconds from the scene's begin until it was so."""
        rows = self.samples[scene]
        return next((at - rows[0][0] for at, eu, lu in rows if reached(eu, lu)), None)

    def longest(self, scene: str, held: Callable[[int, int], bool], after: float) -> float:
        """The longest stretch of seconds in which it was so."""
        rows, stretch, most = self.samples[scene], 0.0, 0.0
        for (before, _, _), (at, eu, lu) in pairwise(rows):
            stretch = stretch + at - before if held(eu, lu) and at - rows[0][0] >= after else 0.0
            most = max(most, stretch)
        return most

    def average(self, scene: str, what: Callable[[int, int], float]) -> float:
        rows = self.samples[scene]
        settled = 10 if scene == "alone" else SETTLED
        return mean(what(eu, lu) for at, eu, lu in rows if at - rows[0][0] >= settled)

    def begin(self, scene: str) -> int:
        return round(self.samples[scene][0][0])


def yardstick(way: Way) -> Way:
    """The same jobs by `next_starts`, on the same nodes."""
    first, last = way.begin("alone"), way.begin("gone") + SECONDS["gone"]
    replay = Replay({f"node {n}": 4 for n in range(2 * NODES)}, next_starts, lambda second: deficits(way, second))
    rows = [(at, use.get("eurohpc", 0), use.get("national", 0)) for at, use in replay.run(way.jobs, first, last)]
    return Way({scene: [row for row in rows if 0 <= row[0] - way.begin(scene) < SECONDS[scene]] for scene in SECONDS})


def deficits(way: Way, second: int) -> Mapping[str, int]:
    return {"eurohpc": 0, "national": 10**6 if second >= way.begin("leads") else 0}


def show(ways: Mapping[str, Way]) -> None:
    print(f"{'':62}{'rule':>8}" + "".join(f"{name:>12}" for name in ways))
    for words, rule, figure in ROWS:
        print(f"{words:62}{rule:>8}" + "".join(f"{figure(way):>12}" for way in ways.values()))


def over_time(way: Way, rule: Way) -> None:
    """The share over time against the rule: GPUs of the newcomer, who leads in the third scene, and of both."""
    print(
        f"\n{'GPUs on average, every 20 s':30}{'second':>8}{'newcomer':>10}{'by the rule':>13}{'both':>8}{'by the rule':>13}"
    )
    for scene, length in SECONDS.items():
        for second in range(0, length, 20):
            ours, theirs = _mean(way, scene, second), _mean(rule, scene, second)
            figures = f"{ours[1]:>10.1f}{theirs[1]:>13.1f}{sum(ours):>8.1f}{sum(theirs):>13.1f}"
            print(f"{scene if not second else '':30}{second:>8}{figures}")


def _mean(way: Way, scene: str, second: int) -> tuple[float, float]:
    rows = [row for row in way.samples[scene] if second <= row[0] - way.samples[scene][0][0] < second + 20]
    return mean(row[1] for row in rows), mean(row[2] for row in rows)


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


ROWS: tuple[tuple[str, str, Callable[[Way], str]], ...] = (
    ("alone: until more than the share is used", "0 s",
     lambda way: seconds(way.since("alone", lambda eu, lu: eu > SHARE))),
    ("alone: GPUs in use", "100 %", lambda way: percent(way.average("alone", lambda eu, lu: eu / GPUS))),
    ("even: until the newcomer has 45 % of the GPUs", "a job",
     lambda way: seconds(way.since("even", lambda eu, lu: lu >= 0.45 * GPUS))),
    ("even: the newcomer's part of the GPUs in use", "50 %",
     lambda way: percent(way.average("even", lambda eu, lu: lu / max(1, eu + lu)))),
    ("even: GPUs in use", "100 %", lambda way: percent(way.average("even", lambda eu, lu: (eu + lu) / GPUS))),
    ("one leads: until it has 70 % of the GPUs", "a job",
     lambda way: seconds(way.since("leads", lambda eu, lu: lu >= 0.70 * GPUS))),
    ("one leads: its part of the GPUs in use", "75 %",
     lambda way: percent(way.average("leads", lambda eu, lu: lu / max(1, eu + lu)))),
    ("one leads: its part of the machine", "75 %",
     lambda way: percent(way.average("leads", lambda eu, lu: lu / GPUS))),
    ("one leads: the other's part of the machine (floor 25 %)", "25 %",
     lambda way: percent(way.average("leads", lambda eu, lu: eu / GPUS))),
    ("one leads: longest time that the other is under its floor", "a job",
     lambda way: seconds(way.longest("leads", lambda eu, lu: eu < FLOOR, 0))),
    ("one leads: GPUs in use", "100 %", lambda way: percent(way.average("leads", lambda eu, lu: (eu + lu) / GPUS))),
    ("queue of the leader gone: until the other has 90 %", "a job",
     lambda way: seconds(way.since("gone", lambda eu, lu: eu >= 0.9 * GPUS))),
    ("GPUs of borrowed jobs taken back (10 s are exempt)", "10 s", lambda way: seconds(way.back)),
    ("jobs pre-empted", "borrowed", lambda way: " ".join(f"{n} {q.rpartition('-')[2]}" for q, n in way.preempted.items()) or "-"),
    ("moves", "", lambda way: str(way.moves)),
)  # fmt: skip
