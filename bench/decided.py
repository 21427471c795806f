"""Writes so many decided projects into the data directory that the environment names: two members each, the first leads.

`python bench/decided.py 1000`, with SCHMELZ_DATA and SCHMELZ_FACTORY set; what is there already stays. Members are Unix
names that nobody has: Slurm takes them. For benchmarks only: real projects come from decisions.
"""

import os
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "schmelz.portal.settings")

from schmelz.cli import ready

ready.portal()

from django.db import transaction  # noqa: E402

from schmelz.portal.ledger.actions import record  # noqa: E402
from schmelz.portal.people.actions import add_person  # noqa: E402
from schmelz.portal.people.models import Person  # noqa: E402
from schmelz.portal.policy import factory, main_system  # noqa: E402
from schmelz.portal.projects.models import Membership, Project  # noqa: E402

DAY = 86_400


def main(wanted: int) -> None:
    with transaction.atomic():
        if not Person.objects.exists():
            _operator()
        there = Project.objects.count()
        people = _people(there, wanted)
        projects = Project.objects.bulk_create(_project(number) for number in range(there, wanted))
        since = int(time.time()) - 40 * DAY
        Membership.objects.bulk_create(
            Membership(project=project, person=people[(number + turn) % len(people)], leads=not turn, since=since)
            for number, project in enumerate(projects)
            for turn in (0, 1)
        )
        for project in projects:
            record("project.open", f"project:{project.code}", None, application=project.application)


def _operator() -> None:
    roles = (f"{main_system().operator}:operator",)
    add_person(factory(), handle="gilles", name="Gilles", email="gilles@example.org", demo=True, roles=roles)


def _people(first: int, last: int) -> list[Person]:
    names = [f"u{number:05}" for number in range(first, last)]
    made = (Person(handle=one, name=one, email=f"{one}@example.org", unix_name=one, demo=True) for one in names)
    return Person.objects.bulk_create(made)


def _project(number: int) -> Project:
    system, now = main_system(), int(time.time())
    pools = system.pools
    return Project(
        code=f"p{200_000 + number}",
        application=f"a{number:05}",
        title=f"Project {number}",
        system=system.id,
        pool=pools[number % len(pools)].id,
        mode=factory().modes[0].id,
        organisation="Quartz",
        category="startup",
        country="LU",
        commercial=False,
        grant_gpu_s=(1_000 + number) * 3_600,
        start=now - 40 * DAY,
        end=now + 100 * DAY,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
