"""Amending a grant: another amount for a running project, decided like its award.

The first signer of the pool proposes, with a reason; the next ones sign or refuse in their order, each another person,
and nobody for a project of their own. The last signature changes the grant. Like every move: lock, permission, guard,
write, event, in one transaction.
"""

from dataclasses import dataclass

from django.db import transaction

from schmelz.faults import Refused
from schmelz.policy.schema import Factory, Pool
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import roles
from schmelz.portal.projects.attributes import commercial
from schmelz.portal.projects.figures import balance
from schmelz.portal.projects.letters import amended_letter, turn_letters, unchanged_letter
from schmelz.portal.projects.models import Amendment, Project
from schmelz.portal.projects.outlook import check_ceiling
from schmelz.portal.projects.queries import amends, check_running, locked, open_amendment, pool_of, signed
from schmelz.portal.projects.states import AMENDMENTS
from schmelz.rules.award import Signature, check_amendment, check_reason, check_signer
from schmelz.rules.lifecycle import transition
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.units import HOUR, local_date


@dataclass(frozen=True)
class Turn:
    """Somebody's turn to act on a locked project: in which role, after whom."""

    project: Project
    pool: Pool
    role: str
    signed: tuple[Signature, ...]

    @property
    def last(self) -> bool:
        return len(self.signed) == len(self.pool.signers) - 1


@transaction.atomic
def propose(factory: Factory, code: str, person: Person, *, gpu_hours: int, because: str) -> Amendment:
    """The first signer proposes another amount."""
    reason, project = check_reason(because), locked(code)
    if open_amendment(project):
        raise Refused(f"an amendment of {code} waits for signatures already.", "Sign or refuse that one first.")
    turn = _turn(factory, project, person, None, Permission.GRANT_PROPOSE)
    _check_amount(factory, project, gpu_hours)
    amendment = Amendment.objects.create(
        project=project, grant_gpu_s=gpu_hours * HOUR, before_gpu_s=project.grant_gpu_s, because=reason, at=now()
    )
    _sign(amendment, turn, person)
    _note("propose", amendment, person, reason)
    turn_letters(amendment, turn.pool.signers[1])
    return amendment


@transaction.atomic
def sign(factory: Factory, code: str, person: Person) -> Amendment:
    """The next signer signs; with the last signature the grant changes."""
    amendment = _waiting(project := locked(code))
    turn = _turn(factory, project, person, amendment, Permission.GRANT_SIGN)
    move = transition(AMENDMENTS, "sign" if turn.last else "countersign", amendment.state)
    if turn.last:
        _check_amount(factory, project, amendment.grant_gpu_s // HOUR)
    _sign(amendment, turn, person)
    amendment.state = move.finish
    if turn.last:
        amendment.decided, project.grant_gpu_s = now(), amendment.grant_gpu_s
        project.save(update_fields=["grant_gpu_s"])
        amended_letter(factory, amendment)
    else:
        turn_letters(amendment, turn.pool.signers[len(turn.signed) + 1])
    amendment.save()
    _note(move.name, amendment, person)
    return amendment


@transaction.atomic
def refuse(factory: Factory, code: str, person: Person, *, because: str) -> Amendment:
    """The signer whose turn it is refuses, with a reason that the principal investigator reads."""
    reason, project = check_reason(because), locked(code)
    amendment = _waiting(project)
    _turn(factory, project, person, amendment, Permission.GRANT_SIGN)
    amendment.state, amendment.decided = transition(AMENDMENTS, "refuse", amendment.state).finish, now()
    amendment.save()
    _note("refuse", amendment, person, reason)
    unchanged_letter(factory, amendment, reason)
    return amendment


def _waiting(project: Project) -> Amendment:
    amendment = open_amendment(project)
    if amendment is None:
        raise Refused(f"no amendment of {project.code} waits for a signature.", "The pool's first signer proposes one.")
    amendment.project = project
    return amendment


def _turn(
    factory: Factory, project: Project, person: Person, amendment: Amendment | None, permission: Permission
) -> Turn:
    """Check that the project runs and that it is this person's turn."""
    check_running(project)
    related, done, pool = amends(factory, person, project, amendment), signed(amendment), pool_of(factory, project)
    if Relation.MEMBER in related:
        raise Refused("nobody decides about a project of their own.", "Somebody else of the role must act.")
    role = check_signer(pool, done, person.handle, roles(person))
    require(permission, related, person.name)
    return Turn(project, pool, role, done)


def _check_amount(factory: Factory, project: Project, gpu_hours: int) -> None:
    mode = next((mode for mode in factory.modes if mode.id == project.mode), None)
    found = balance(project)
    system, before = factory.system(project.system), project.grant_gpu_s // HOUR
    check_amendment(mode, system, gpu_hours, before, found.settled + found.running)
    if project.code in commercial(local_date(now(), factory.zone)):
        check_ceiling(system, project.pool, (gpu_hours - before) * HOUR, now())


def _sign(amendment: Amendment, turn: Turn, person: Person) -> None:
    amendment.signatures.create(order=len(turn.signed), role=turn.role, person=person, at=now())


def _note(name: str, amendment: Amendment, person: Person, because: str = "") -> None:
    amounts = {"before": amendment.before_gpu_s, "gpu_s": amendment.grant_gpu_s}
    record(f"amendment.{name}", f"project:{amendment.project.code}", person, because, **amounts)
