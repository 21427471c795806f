"""Decisions about a running project on the command line: what is printed, and who is refused."""

import json

import pytest

from portal import award
from schmelz.operate.follow import current_plan
from schmelz.portal.clusters.queries import approvers
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects.models import Membership, Project
from schmelz.units import HOUR


@pytest.fixture
def project(cast) -> Project:
    return award.project(cast)


def test_suspend_and_resume(run, project) -> None:
    done = run("suspend", project.code, "--because", "No contract.", "--json", person="gilles")
    assert (done.code, json.loads(done.out)) == (0, {"project": project.code, "suspended": True})
    assert run("suspend", project.code, "--because", "again", person="gilles").code == 4
    assert run("resume", project.code, "--because", "It came.", person="anna").code == 4
    done = run("resume", project.code, "--because", "It came.", person="gilles")
    assert (done.code, done.out) == (0, f"{project.code} goes on\n")
    assert run("suspend", project.code, "--because", "", person="gilles").code == 2
    assert run("suspend", "p299999", "--because", "x", person="gilles").code == 2


def test_amend_and_sign(run, cast, project) -> None:
    before = project.grant_gpu_s // HOUR
    words = ("amend", project.code, "--because", "Less is enough.", "--gpu-hours")
    assert run(*words, str(before), person="signer0").code == 2
    done = run(*words, str(before - 1), "--json", person="signer0")
    facts = json.loads(done.out)
    assert (facts["state"], facts["gpu_hours"], facts["before_gpu_hours"]) == ("proposed", before - 1, before)
    assert facts["waits_for"] == cast.pool.signers[1] and facts["waits_for"] in done.err
    assert run("amend-sign", project.code, "--because", "x", person="signer1").code == 2
    assert run("amend-sign", project.code, "--refuse", person="signer1").code == 2
    assert run("amend-sign", project.code, person="gilles").code == 4
    done = [run("amend-sign", project.code, person=signer.handle) for signer in cast.signers[1:]][-1]
    assert (done.code, done.out) == (0, f"{project.code} signed {before - 1}\n")
    assert run(*words, str(before - 2), person="signer0").code == 0
    done = run("amend-sign", project.code, "--refuse", "--because", "Enough.", "--json", person="signer1")
    facts = json.loads(done.out)
    assert (facts["state"], facts["waits_for"]) == ("refused", None)
    assert Project.objects.get().grant_gpu_s == (before - 1) * HOUR


def test_a_member_is_removed(run, project) -> None:
    assert run("project", "remove-member", project.code, "bruno", person="gilles").code == 4
    assert run("project", "remove-member", project.code, "nobody", person="anna").code == 2
    assert run("project", "remove-member", project.code, "bruno", person="anna").code == 0
    assert [m.person.handle for m in Membership.objects.all()] == ["anna"]


def test_only_the_plan_of_this_moment_is_approved(run, cast, project) -> None:
    role = f"{cast.system.operator}:operator"
    add_person(cast.factory, handle="greta", name="Greta", email="g@example.org", roles=(role,), demo=True)
    plan = current_plan(cast.system)
    for said in ("0" * 64, plan.hash[:8], ""):
        assert run("approve", said, person="greta").code == 4
    refused = run("approve", plan.hash, person="anna")
    assert refused.code == 4 and plan.hash[:12] not in refused.err
    done = run("approve", plan.hash[:12], "--json", person="greta")
    assert json.loads(done.out)["by"] == ["greta"] and plan.radius in done.err
    assert run("approve", plan.hash, person="greta").code == 0
    assert approvers(plan.hash) == ("greta",)
    assert Event.objects.filter(kind="plan.approve", subject=f"system:{cast.system.id}").count() == 1
    run("suspend", project.code, "--because", "x", person="gilles")
    assert run("approve", plan.hash, person="greta").code == 4
