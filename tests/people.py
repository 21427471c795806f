"""The people of the tests: Anna (PI), Bruno (member), Franco (outsider), Gilles (operator), and a person per function.

They are made for whatever factory a test uses: signers are looked up by their role in its pools.
"""

from dataclasses import dataclass

from schmelz.policy.schema import Factory, Mode, Pool, System
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Organisation, Person


@dataclass(frozen=True)
class Cast:
    """A factory with people in it, and an open first-in-first-out mode to apply in."""

    factory: Factory
    mode: Mode
    system: System
    pool: Pool
    anna: Person
    bruno: Person
    franco: Person
    gilles: Person
    signers: tuple[Person, ...]

    def answers(self, **changes: object) -> dict[str, object]:
        """A good form for the mode, with changes."""
        size = self.mode.size(self.system)
        return {
            "title": "Voice models for small languages",
            "summary": "Fine-tuning of open speech models.",
            "gpu_hours": size.default,
            "months": self.mode.months[0],
            "statements": list(self.mode.statements),
            **changes,
        }


def cast(factory: Factory, pool_index: int = 0) -> Cast:
    """Everybody, for the first open mode of the pool with this index in the main system."""
    system = next(s for s in factory.systems if s.cluster.backend != "none")
    pool = system.pools[pool_index]
    mode = next(
        m
        for m in factory.modes
        if m.pool == pool.id
        and m.state == "open"
        and m.order != "ranked"
        and system.id in m.systems
        and "peer-review" not in m.steps
        and "panel" not in m.steps
    )
    pool = factory.pool_for(system.id, pool.id, mode.id)
    country = next(iter(factory.countries(mode.regions)), "LU")
    home = Organisation.objects.create(name="Quartz Voice", country=country, category=mode.audience[0], founded=2025)
    people = {
        handle: add_person(
            factory,
            handle=handle,
            name=handle.title(),
            email=f"{handle}@example.org",
            demo=True,
            organisation=home if handle in ("anna", "bruno") else None,
            unix_name=unix,
            roles=roles,
        )
        for handle, unix, roles in (
            ("anna", "anna", ()),
            ("bruno", "bruno", ()),
            ("franco", None, ()),
            ("gilles", None, (f"{system.operator}:operator",)),
        )
    }
    signers = tuple(
        add_person(
            factory, handle=f"signer{n}", name=f"Signer {n}", email=f"s{n}@example.org", roles=(role,), demo=True
        )
        for n, role in enumerate(pool.signers)
    )
    return Cast(
        factory, mode, system, pool, people["anna"], people["bruno"], people["franco"], people["gilles"], signers
    )
