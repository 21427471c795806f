"""The projects of a demo year: one for each award, numbered in the order of the decisions."""

from collections.abc import Sequence

from schmelz.demo.applications import Draft
from schmelz.demo.model import Application, Person, Project, Scene


def projects(
    scene: Scene, made: Sequence[Draft], applications: Sequence[Application], persons: Sequence[Person]
) -> tuple[Project, ...]:
    """The awards among the applications as projects; the drafts, in the same order, know their time."""
    awards = [
        (application, draft)
        for application, draft in zip(applications, made, strict=True)
        if application.outcome == "awarded"
    ]
    awards.sort(key=lambda award: (award[0].decided or 0, award[0].code))
    prefix = scene.factory.factory.project_prefix
    return tuple(
        _project(scene, f"{prefix}{number:05d}", application, draft, persons)
        for number, (application, draft) in enumerate(awards, start=1)
    )


def _project(scene: Scene, code: str, application: Application, draft: Draft, persons: Sequence[Person]) -> Project:
    return Project(
        code,
        application.code,
        application.pool,
        application.mode,
        application.organisation,
        application.title,
        application.award_gpu_hours or 0,
        draft.project.start,
        draft.project.end,
        _members(scene, application, persons),
    )


def _members(scene: Scene, application: Application, persons: Sequence[Person]) -> tuple[str, ...]:
    """The applicant, colleagues, and up to three persons of elsewhere."""
    colleagues = [
        person.handle
        for person in persons
        if person.organisation == application.organisation and person.handle != application.applicant
    ]
    elsewhere = [person.handle for person in persons if person.organisation != application.organisation]
    guests = scene.rng.sample(elsewhere, min(len(elsewhere), scene.rng.randrange(4)))
    return (application.applicant, *colleagues, *guests)
