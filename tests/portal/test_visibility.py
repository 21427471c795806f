"""What lists show is what the permission table says: `visible_to` equals the predicate over `relations`."""

from schmelz.portal.calls import actions, queries as calls
from schmelz.portal.calls.models import Application
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects import queries as projects
from schmelz.portal.projects.actions import add_member
from schmelz.portal.projects.models import Project
from schmelz.rules.permissions import Permission, may


def _everybody(cast):
    extra = [
        add_person(cast.factory, handle=f"x{n}", name="x", email="x@example.org", roles=(role,), demo=True)
        for n, role in enumerate(cast.factory.roles)
    ]
    return [None, cast.anna, cast.bruno, cast.franco, cast.gilles, *cast.signers, *extra]


def test_lists_equal_the_permission_table(cast) -> None:
    for person in (cast.anna, cast.bruno):
        done = actions.submit(cast.factory, mode_id=cast.mode.id, person=person, answers=cast.answers())
    actions.propose(cast.factory, done.code, cast.signers[0], gpu_hours=done.gpu_hours, because="fits")
    for signer in cast.signers[1:]:
        actions.sign(cast.factory, done.code, signer)
    add_member(cast.factory, Project.objects.get(), cast.franco, actor=cast.bruno)
    for person in _everybody(cast):
        shown = set(calls.visible_to(cast.factory, person))
        allowed = {
            a
            for a in Application.objects.all()
            if may(Permission.APPLICATION_READ, calls.relations(cast.factory, person, a))
        }
        assert shown == allowed, person
        shown_projects = set(projects.visible_to(cast.factory, person))
        allowed_projects = {
            p
            for p in Project.objects.all()
            if may(Permission.PROJECT_READ, projects.relations(cast.factory, person, p))
        }
        assert shown_projects == allowed_projects, person
