"""Projects: an award's GPU-seconds on one system from a pool, and the people who may use them.

The attributes of the award (organisation, category, country, mode) are copied at the moment of the award, so that
history does not change when an organisation does. `code` is also the account on the cluster.
"""

from django.db import models

from schmelz.portal.people.models import Person
from schmelz.portal.projects.states import AmendmentState, ProjectState


class Project(models.Model):
    """An allocation: `grant_gpu_s` GPU-seconds in [start, end), UTC epoch seconds.

    `pacing` and `sites` (ids, separated by commas) are those of the access mode, empty where it leaves them to the system.
    """

    code = models.CharField(max_length=12, unique=True)
    title = models.CharField(max_length=200)
    system = models.CharField(max_length=40)
    pool = models.CharField(max_length=40)
    mode = models.CharField(max_length=40)
    application = models.CharField(max_length=20, unique=True)
    organisation = models.CharField(max_length=200)
    category = models.CharField(max_length=40)
    country = models.CharField(max_length=2)
    commercial = models.BooleanField()
    grant_gpu_s = models.BigIntegerField()
    start = models.BigIntegerField()
    end = models.BigIntegerField()
    pacing = models.CharField(max_length=12, blank=True, default="")
    sites = models.CharField(max_length=200, blank=True, default="")
    suspended = models.BooleanField(default=False)
    state = models.CharField(max_length=12, choices=ProjectState.choices, default=ProjectState.AWARDED)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code


class ProjectAttributes(models.Model):
    """What a project counts as, from the day `since` (of the factory's zone) until its next row; the last row of a day
    counts. The first row, written with the award, also holds for the days before it. Rows are added, never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="attributes")
    since = models.DateField()
    country = models.CharField(max_length=2)
    mode = models.CharField(max_length=40)
    category = models.CharField(max_length=40)
    field = models.CharField(max_length=80, blank=True, default="")
    sme = models.BooleanField()
    commercial = models.BooleanField()
    organisation = models.CharField(max_length=200)

    class Meta:
        ordering = ["project", "since", "id"]


class Membership(models.Model):
    """A person of a project: the principal investigator (one) or a member."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    leads = models.BooleanField(default=False)
    since = models.BigIntegerField()

    class Meta:
        ordering = ["project", "-leads", "person"]
        constraints = [models.UniqueConstraint(fields=["project", "person"], name="member_once")]


class Amendment(models.Model):
    """Another amount for a running project, decided like an award: the pool's first signer proposes, the next ones sign."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="amendments")
    grant_gpu_s = models.BigIntegerField()
    before_gpu_s = models.BigIntegerField()
    because = models.TextField()
    state = models.CharField(max_length=12, choices=AmendmentState.choices, default=AmendmentState.PROPOSED)
    at = models.BigIntegerField()
    decided = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project"], condition=models.Q(state="proposed"), name="one_open_amendment")
        ]


class AmendmentSignature(models.Model):
    """One signature under an amendment, in the order of the pool's signers."""

    amendment = models.ForeignKey(Amendment, on_delete=models.CASCADE, related_name="signatures")
    order = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=80)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="amendment_signatures")
    at = models.BigIntegerField()

    class Meta:
        ordering = ["amendment", "order"]
        constraints = [models.UniqueConstraint(fields=["amendment", "order"], name="amendment_signed_once")]
