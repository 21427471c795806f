"""Who may do what: one alphabetical table. Each permission has a sentence and the relations that grant it.

A *relation* says what a person is to the thing in question: anyone, a signed-in person, the applicant, a member of the
project, its principal investigator, a signer of the pool, the signer whose turn it is, an operator of the system,
the coordinator, an auditor. The portal works out the relations; this table decides. `matrix` is its page in docs/.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from schmelz.faults import Refused


class Relation(StrEnum):
    """What a person is to the thing that is asked about."""

    ANYONE = "anyone"
    SIGNED_IN = "signed-in"
    APPLICANT = "applicant"
    MEMBER = "member"
    PI = "pi"
    SIGNER = "signer"
    NEXT_SIGNER = "next-signer"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """Every permission of the product, `thing:action`."""

    APPLICATION_CREATE = "application:create"
    APPLICATION_READ = "application:read"
    APPLICATION_WITHDRAW = "application:withdraw"
    CLOSING_CLOSE = "closing:close"
    CLOSING_READ = "closing:read"
    CLOSING_SIGN = "closing:sign"
    CLUSTER_ADOPT = "cluster:adopt"
    DECISION_PROPOSE = "decision:propose"
    DECISION_REFUSE = "decision:refuse"
    DECISION_SIGN = "decision:sign"
    DRIFT_CHOOSE = "drift:choose"
    FORECAST_READ = "forecast:read"
    GRANT_PROPOSE = "grant:propose"
    GRANT_SIGN = "grant:sign"
    JOB_SUBMIT = "job:submit"
    MANDATE_PROPOSE = "mandate:propose"
    MANDATE_READ = "mandate:read"
    MANDATE_REVOKE = "mandate:revoke"
    MANDATE_SIGN = "mandate:sign"
    PERSON_FORGET = "person:forget"
    PLAN_APPLY = "plan:apply"
    PLAN_APPROVE = "plan:approve"
    PLAN_READ = "plan:read"
    PROJECT_DESCRIBE = "project:describe"
    PROJECT_INVITE = "project:invite"
    PROJECT_READ = "project:read"
    PROJECT_SUSPEND = "project:suspend"
    RECORDS_READ = "records:read"
    REPORT_READ = "report:read"
    SPLIT_READ = "split:read"


@dataclass(frozen=True)
class Rule:
    """What the permission allows, in a sentence, and the relations that grant it."""

    sentence: str
    granted_to: frozenset[Relation]


def _rule(sentence: str, *granted_to: Relation) -> Rule:
    return Rule(sentence, frozenset(granted_to))


R = Relation
PERMISSIONS: MappingProxyType[Permission, Rule] = MappingProxyType(
    {
        Permission.APPLICATION_CREATE: _rule("Apply for GPU-hours in an open access mode.", R.SIGNED_IN),
        Permission.APPLICATION_READ: _rule(
            "Read an application and its decision.", R.APPLICANT, R.SIGNER, R.COORDINATOR, R.OPERATOR, R.AUDITOR
        ),
        Permission.APPLICATION_WITHDRAW: _rule("Take an application back before it is decided.", R.APPLICANT),
        Permission.CLOSING_CLOSE: _rule("Close a month.", R.OPERATOR, R.COORDINATOR),
        Permission.CLOSING_READ: _rule("Read the heads of closed months and who signed them.", R.ANYONE),
        Permission.CLOSING_SIGN: _rule("Countersign the head of a closed month.", R.NEXT_SIGNER),
        Permission.CLUSTER_ADOPT: _rule("Take the projects of an existing cluster over.", R.OPERATOR),
        Permission.DECISION_PROPOSE: _rule("Propose an award as the first signer of the pool.", R.NEXT_SIGNER),
        Permission.DECISION_REFUSE: _rule("Refuse an application when it is one's turn to sign.", R.NEXT_SIGNER),
        Permission.DECISION_SIGN: _rule("Sign a proposed award when it is one's turn.", R.NEXT_SIGNER),
        Permission.DRIFT_CHOOSE: _rule("Choose what becomes of a change by hand on the cluster.", R.OPERATOR),
        Permission.FORECAST_READ: _rule(
            "See what awards, outages and other changes would do to waits and to the split.",
            R.SIGNER,
            R.COORDINATOR,
            R.OPERATOR,
            R.AUDITOR,
        ),
        Permission.GRANT_PROPOSE: _rule("Propose another amount for a running project.", R.NEXT_SIGNER),
        Permission.GRANT_SIGN: _rule("Sign another amount for a running project.", R.NEXT_SIGNER),
        Permission.JOB_SUBMIT: _rule("Submit jobs on a project's GPU-hours.", R.MEMBER, R.PI),
        Permission.MANDATE_PROPOSE: _rule("Propose a mandate for steering.", R.NEXT_SIGNER),
        Permission.MANDATE_READ: _rule(
            "Read the mandates and every move of the steering.", R.OPERATOR, R.SIGNER, R.COORDINATOR, R.AUDITOR
        ),
        Permission.MANDATE_REVOKE: _rule("End a mandate at once.", R.OPERATOR, R.SIGNER),
        Permission.MANDATE_SIGN: _rule("Sign a mandate for steering.", R.NEXT_SIGNER),
        Permission.PERSON_FORGET: _rule("Forget a person for good.", R.OPERATOR, R.COORDINATOR),
        Permission.PLAN_APPLY: _rule("Apply a plan to the cluster.", R.OPERATOR),
        Permission.PLAN_APPROVE: _rule("Approve, as a second operator, what a plan takes away.", R.OPERATOR),
        Permission.PLAN_READ: _rule("Read what would change on the cluster.", R.OPERATOR, R.AUDITOR),
        Permission.PROJECT_DESCRIBE: _rule(
            "Say from which day a project has another country, category, mode or field.", R.OPERATOR, R.COORDINATOR
        ),
        Permission.PROJECT_INVITE: _rule("Add a member to a project.", R.PI),
        Permission.PROJECT_READ: _rule(
            "Read a project: balance, members, jobs.", R.MEMBER, R.PI, R.SIGNER, R.OPERATOR, R.COORDINATOR, R.AUDITOR
        ),
        Permission.PROJECT_SUSPEND: _rule("Suspend a project, or let it go on.", R.OPERATOR, R.COORDINATOR),
        Permission.RECORDS_READ: _rule("Read job records into the ledger.", R.OPERATOR),
        Permission.REPORT_READ: _rule(
            "Read the annual report and the key figures in full.", R.SIGNER, R.OPERATOR, R.COORDINATOR, R.AUDITOR
        ),
        Permission.SPLIT_READ: _rule("See the split: supply, shares, borrowed and lent.", R.ANYONE),
    }
)

NAMES: MappingProxyType[Relation, str] = MappingProxyType(
    {
        R.ANYONE: "anyone",
        R.SIGNED_IN: "anyone who is signed in",
        R.APPLICANT: "the applicant",
        R.MEMBER: "a member of the project",
        R.PI: "its principal investigator",
        R.SIGNER: "a signer of the pool",
        R.NEXT_SIGNER: "the signer whose turn it is",
        R.OPERATOR: "an operator of the system",
        R.COORDINATOR: "the coordinator",
        R.AUDITOR: "an auditor",
    }
)


def may(permission: Permission, relations: Collection[Relation]) -> bool:
    """Whether any of the relations grants the permission."""
    return not PERMISSIONS[permission].granted_to.isdisjoint(relations)


def require(permission: Permission, relations: Collection[Relation], who: str) -> None:
    """Raise Refused, naming who would be allowed, when none of the relations grants the permission."""
    if not may(permission, relations):
        rule = PERMISSIONS[permission]
        allowed = " or ".join(NAMES[r] for r in Relation if r in rule.granted_to)
        raise Refused(f"{who} may not: {rule.sentence[0].lower()}{rule.sentence[1:]}", f"Allowed: {allowed}.")


def matrix() -> str:
    """The whole table as a page: one row per permission, one column per relation, a dot where it is granted."""
    columns = "".join(f" {NAMES[relation]} |" for relation in Relation)
    rows = [
        f"| `{permission}`: {rule.sentence} |" + "".join(" ● |" if r in rule.granted_to else " |" for r in Relation)
        for permission, rule in PERMISSIONS.items()
    ]
    return "\n".join([f"| permission |{columns}", "|---|" + ":-:|" * len(Relation), *rows]) + "\n"
