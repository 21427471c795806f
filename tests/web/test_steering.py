"""The page Steering: from a proposal to a mandate in force and its end, by the buttons that each person sees."""

import pytest

from schmelz.policy.system import System
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.models import Mandate, Move
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Person

GOOD = {"highest": "100", "moves_per_hour": "60", "days": "30", "because": "Shared use begins."}


@pytest.fixture
def system(cast) -> System:
    return next(s for s in cast.factory.systems if s.steering)


@pytest.fixture
def owners(cast, system) -> list[Person]:
    return [
        add_person(cast.factory, handle=f"owner{n}", name=f"Owner {n}", email=f"o{n}@example.org", roles=[role])
        for n, role in enumerate(system.steering.signers)
    ]


def test_from_a_proposal_to_its_end(system, owners, browser) -> None:
    first, second = browser(owners[0]), browser(owners[1])
    assert "No mandate was asked for yet" in first.get("/steering").content.decode()
    assert "Propose and sign" not in second.get("/steering").content.decode()
    form = {"lowest": str(system.sharing.floor_percent), **GOOD}
    assert second.post("/steering/propose", form).status_code == 403
    assert first.post("/steering/propose", form).status_code == 302
    for number, owner in enumerate(owners[1:], start=1):
        page = browser(owner).get("/steering").content.decode()
        assert "Sign m00001" in page and f"waits for {system.steering.signers[number]}" in page
        assert "Sign m00001" not in first.get("/steering").content.decode()
        assert browser(owner).post("/steering/m00001/sign").status_code == 302
    assert "in force" in first.get("/steering").content.decode()
    mandate = Mandate.objects.get()
    names = [f"{pool.account}-own" for pool in system.pools]
    Move.objects.create(mandate=mandate, at=mandate.start, before=dict.fromkeys(names), after=dict.fromkeys(names, 7),
                        because="a <b>leads</b>")  # fmt: skip
    page = second.get("/steering").content.decode()
    assert "no cap to <strong>7</strong>" in page and "A &lt;b&gt;leads&lt;/b&gt;." in page
    assert second.post("/steering/m00001/revoke", {"because": ""}).status_code == 400
    assert second.post("/steering/m00001/revoke", {"because": "Enough."}).status_code == 302
    assert mandates.in_force(system.id, mandate.start) is None
    assert "ended by a person" in second.get("/steering").content.decode()


def test_what_cannot_be_is_said_beside_the_form(system, owners, browser) -> None:
    form = {"lowest": "0", **GOOD, "days": "many"}
    page = browser(owners[0]).post("/steering/propose", form)
    assert page.status_code == 400 and "Days: &#x27;many&#x27; is not a whole number" in page.content.decode()
    page = browser(owners[0]).post("/steering/propose", {**form, "days": "7"})
    assert page.status_code == 400 and "Lowest cap: 0 cannot be" in page.content.decode()


def test_who_may_look(cast, system, owners, browser) -> None:
    def seen(person: Person) -> tuple[int, bool]:
        return browser(person).get("/steering").status_code, "/steering" in browser(person).get(
            "/projects"
        ).content.decode()

    assert [seen(person) for person in (cast.gilles, *owners)] == [(200, True)] * (1 + len(owners))
    assert [seen(person) for person in (cast.anna, cast.franco)] == [(403, False)] * 2
    assert browser(cast.gilles).get("/steering?system=nowhere").status_code == 404
    assert browser(cast.gilles).post("/steering/m00009/sign").status_code == 404
