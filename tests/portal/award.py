"""A project for the tests of running projects: applied for by Anna, signed by everybody, Bruno a member."""

from people import Cast
from schmelz.portal.calls import actions
from schmelz.portal.projects.actions import add_member
from schmelz.portal.projects.models import Project


def project(cast: Cast) -> Project:
    asked = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="fits")
    for signer in cast.signers[1:]:
        actions.sign(cast.factory, asked.code, signer)
    opened = Project.objects.get(application=asked.code)
    add_member(cast.factory, opened, cast.bruno, actor=cast.anna)
    return opened
