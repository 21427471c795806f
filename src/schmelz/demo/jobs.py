"""The jobs of a demo year: some 5,000 larger ones, within the grants and the time of their projects.

Each pool wants a planned amount of GPU-seconds every day, LOAD_PERCENT of its share over the year: few at weekends,
over Christmas and in summer, many in the last weeks, when grants are about to run out. The first pool is slow to start
(CURVES), so that the others borrow and later pay back. A day's amount is cut into jobs of the projects that have most
left for the time they have left. How a job ends is chance: some fail early, some run into their limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from schmelz.demo.model import Ending, Job, Person, Project, Scene
from schmelz.twin.machine import SimJob
from schmelz.units import DAY, HOUR, Period, days, split_by_weight

FIRST_NUMBER = 1_000_001
LOAD_PERCENT = 80
# (thousandth of the year, relative demand), straight lines between: the first pool, all others
CURVES = (((0, 25), (200, 35), (450, 100), (1000, 120)), ((0, 170), (350, 170), (500, 90), (1000, 75)))
RUSH_DAYS, RUSH_PERCENT = 42, 160
QUIET = ((7, 13, 8, 31, 60), (12, 20, 12, 31, 55), (1, 1, 1, 6, 55))
WEEKEND_PERCENT = 45
HOURS = (1, 1, 1, 1, 1, 1, 2, 4, 8, 12, 13, 12, 8, 11, 13, 12, 10, 8, 5, 4, 3, 3, 2, 2)
# (thousandths of the smallest site, how often), (parts of 24 of the longest limit, how often)
NODES = ((32, 2), (63, 4), (127, 5), (190, 4), (254, 3), (381, 2), (508, 1))
LIMITS = ((2, 1), (4, 3), (6, 4), (12, 5), (18, 3), (24, 3))
MINUTE, SHORTEST, LONGEST = 60, 600, 48 * HOUR


@dataclass
class _Budget:
    """A project with what it has left, how large and long its jobs usually are, and who submits them."""

    project: Project
    left: int
    thousandths: int
    limit: int
    users: list[str]

    def pressure(self, day: Period) -> int:
        """GPU-seconds left per day of the time that is left; 0 outside of it."""
        rest = self.project.end - day.start
        return self.left * DAY // rest if self.project.start <= day.start and rest >= DAY else 0


def jobs(scene: Scene, projects: Sequence[Project], persons: Sequence[Person]) -> tuple[Job, ...]:
    """All jobs, in the order of submission, numbered from FIRST_NUMBER."""
    unix_names = {person.handle: person.unix_name for person in persons}
    made: list[Job] = []
    for pool, total in zip(scene.system.pools, _totals(scene), strict=True):
        budgets = [_budget(scene, project, unix_names) for project in projects if project.pool == pool.id]
        made += _of_pool(scene, budgets, _daily(scene, total, CURVES[0 if pool is scene.system.pools[0] else 1]))
    made.sort(key=lambda job: (job.sim.submit, job.sim.project, job.sim.gpus, job.sim.limit, job.user))
    return tuple(replace(job, sim=replace(job.sim, job=str(FIRST_NUMBER + index))) for index, job in enumerate(made))


# -- how much on which day


def _totals(scene: Scene) -> tuple[int, ...]:
    """What each pool wants in the year, in GPU-seconds."""
    whole = scene.system.gpus() * scene.period.seconds * LOAD_PERCENT // 100
    return split_by_weight(whole, [pool.weight for pool in scene.system.pools])


def _daily(scene: Scene, total: int, curve: Sequence[tuple[int, int]]) -> Iterator[tuple[Period, int]]:
    """Every day of the year with the GPU-seconds that are wanted on it; they add up to the total."""
    calendar = list(days(scene.period, scene.factory.zone))
    weights = [
        _height(curve, 1000 * index // len(calendar))
        * _season(day)
        * part.seconds
        * (RUSH_PERCENT if index >= len(calendar) - RUSH_DAYS else 100)
        for index, (day, part) in enumerate(calendar)
    ]
    return zip((period for _, period in calendar), split_by_weight(total, weights), strict=True)


def _height(curve: Sequence[tuple[int, int]], at: int) -> int:
    """The height of a line of straight pieces, times 100."""
    left, right = next(piece for piece in pairwise(curve) if at < piece[1][0])
    return 100 * left[1] + 100 * (right[1] - left[1]) * (at - left[0]) // (right[0] - left[0])


def _season(day: date) -> int:
    quiet = next(
        (percent for m, d, until_m, until_d, percent in QUIET if (m, d) <= (day.month, day.day) <= (until_m, until_d)),
        100,
    )
    return quiet * (WEEKEND_PERCENT if day.weekday() >= 5 else 100)


# -- which jobs


def _budget(scene: Scene, project: Project, unix_names: dict[str, str]) -> _Budget:
    users = [unix_names[member] for member in project.members]
    return _Budget(project, project.grant_gpu_s, _drawn(scene, NODES), _drawn(scene, LIMITS), users)


def _drawn(scene: Scene, table: Sequence[tuple[int, int]]) -> int:
    """One of the values, the more often the larger its weight."""
    return scene.rng.choices([value for value, _ in table], [weight for _, weight in table])[0]


def _of_pool(scene: Scene, budgets: Sequence[_Budget], wanted: Iterator[tuple[Period, int]]) -> Iterator[Job]:
    """Jobs of a pool's projects until each day's amount is reached; what cannot be placed waits for the days after."""
    open_amount = 0
    for day, amount in wanted:
        open_amount = min(open_amount, 3 * amount) + amount
        while open_amount > 0:
            weights = [budget.pressure(day) for budget in budgets]
            if not any(weights):
                break
            budget = scene.rng.choices(budgets, weights)[0]
            job = _job(scene, budget, day)
            if job is None:
                budget.left = 0
                continue
            budget.left -= job.sim.gpus * job.sim.run
            open_amount -= job.sim.gpus * job.sim.run
            yield job


def _job(scene: Scene, budget: _Budget, day: Period) -> Job | None:
    """A job of the project's kind that it can still pay for and end in time; None when there is none."""
    submit = day.start + _time_of_day(scene, day)
    gpus, nodes = _size(scene, budget)
    limit = _limit(scene, budget)
    while gpus * limit > budget.left and nodes > 1:
        nodes //= 2
        gpus = nodes * scene.system.gpus_per_node
    limit = min(limit, budget.left // gpus, budget.project.end - submit) // MINUTE * MINUTE
    if limit < SHORTEST:
        return None
    ending, run = _ending(scene, limit)
    sim = SimJob(
        "",
        budget.project.pool,
        budget.project.code,
        submit,
        gpus,
        nodes,
        limit,
        run,
        _sites(scene),
        latest=budget.project.end - limit,
    )
    return Job(sim, scene.rng.choice(budget.users), ending)


def _time_of_day(scene: Scene, day: Period) -> int:
    """Seconds since the day began, mostly in working hours; days may be cut short."""
    seconds = scene.rng.choices(range(24), HOURS)[0] * HOUR + scene.rng.randrange(HOUR)
    return seconds if seconds < day.seconds else scene.rng.randrange(day.seconds)


def _size(scene: Scene, budget: _Budget) -> tuple[int, int]:
    """GPUs and nodes: the project's usual size or another, now and then half or twice of it; at most 2/3 of a site."""
    system = scene.system
    smallest = min(len(names) for names in system.node_names.values())
    part = budget.thousandths if scene.rng.randrange(2) else _drawn(scene, NODES)
    wished = smallest * part // 1000 * scene.rng.choice((1, 2, 2, 2, 4)) // 2
    nodes = max(1, min(smallest * 2 // 3, wished))
    if system.charge == "gpu" and nodes == 1:
        return scene.rng.randint(1, system.gpus_per_node), 1
    return nodes * system.gpus_per_node, nodes


def _limit(scene: Scene, budget: _Budget) -> int:
    usual = budget.limit if scene.rng.randrange(2) else _drawn(scene, LIMITS)
    return min(LONGEST, scene.system.cluster.max_time) * usual // 24


def _sites(scene: Scene) -> tuple[str, ...]:
    """Any site, one of them preferred."""
    sites = list(scene.system.node_names)
    scene.rng.shuffle(sites)
    return tuple(sites)


def _ending(scene: Scene, limit: int) -> tuple[Ending, int]:
    """How the job ends, and after how many seconds."""
    chance, rng = scene.rng.randrange(100), scene.rng
    if chance < 5:
        return "FAILED", max(1, limit * rng.randint(5, 300) // 1000 + rng.randrange(60))
    if chance < 9:
        return "TIMEOUT", limit
    if chance < 12:
        return "CANCELLED", limit * rng.randint(50, 900) // 1000
    return "COMPLETED", limit * rng.randint(450, 990) // 1000 - rng.randrange(20)
