"""Asking about the cluster's decisions: who approved a plan."""

from schmelz.portal.clusters.models import Approval


def approvers(plan: str) -> tuple[str, ...]:
    """The handles of the operators who approved the plan with this hash, the first one first."""
    rows = Approval.objects.filter(plan=plan, person__is_active=True).order_by("at", "pk")
    return tuple(rows.values_list("person__handle", flat=True))
