"""A believable year of a factory: the 365 days before an instant, made up from the policy file and a seed alone.

People apply, signers decide, projects submit jobs; an outage and a maintenance are in it, too. The same factory, seed
and instant give the same year, to the byte. `run` lets the machine work it off. Nothing in it is real.
"""

from datetime import timedelta
from random import Random

from schmelz.demo.applicants import STORY, organisations, persons
from schmelz.demo.applications import applications, drafts
from schmelz.demo.jobs import jobs
from schmelz.demo.model import Scene, Year
from schmelz.demo.projects import projects
from schmelz.demo.records import run
from schmelz.policy.schema import Factory
from schmelz.twin.machine import Outage
from schmelz.units import DAY, HOUR, Period, day_start, local_date

__all__ = ["run", "year"]

OUTAGE_DAY, MAINTENANCE_DAY = 230, 140
BROKEN_NODES = 20


def year(factory: Factory, seed: int, until: int) -> Year:
    """The year before `until` (UTC epoch seconds); it begins at midnight of the factory's zone."""
    first_day = local_date(until, factory.zone) - timedelta(days=365)
    period = Period(day_start(first_day, factory.zone), until)
    scene = Scene(factory, factory.systems[0], period, Random(seed))  # noqa: S311  chance for a story, not for secrets
    applying = organisations(scene)
    people = persons(scene, applying[STORY:])
    made = drafts(scene, applying)
    applied = applications(scene, made, people)
    granted = projects(scene, made, applied, people)
    todo = jobs(scene, granted, people)
    return Year(scene.system.id, period, applying, people, applied, granted, todo, outages(scene))


def outages(scene: Scene) -> tuple[Outage, ...]:
    """An announced maintenance of the last site for twelve hours, and two days without some nodes of the first."""
    names = scene.system.node_names
    first, last = next(iter(names)), list(names)[-1]
    maintenance = scene.period.start + MAINTENANCE_DAY * DAY + 7 * HOUR
    broken = scene.period.start + OUTAGE_DAY * DAY + 15 * HOUR
    away = names[first][: max(1, min(BROKEN_NODES, len(names[first]) // 4))]
    return (
        Outage(last, names[last], maintenance, maintenance + 12 * HOUR, "maintenance", True, "Cooling is serviced"),
        Outage(first, away, broken, broken + 2 * DAY, "down", False, "A power unit failed"),
    )
