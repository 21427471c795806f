"""Projects: an award's GPU-seconds on one system from a pool, and the people who may use them.

The attributes of the award (organisation, category, country, mode) are copied at the moment of the award, so that
history does not change when an organisation does. `code` is also the account on the cluster.
"""

from django.db import models

from schmelz.portal.people.models import Person
from schmelz.portal.projects.states import ProjectState


class Project(models.Model):
    """An allocation: `grant_gpu_s` GPU-seconds in [start, end), UTC epoch seconds."""

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
    state = models.CharField(max_length=12, choices=ProjectState.choices, default=ProjectState.AWARDED)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code


class Membership(models.Model):
    """A person of a project: the principal investigator (one) or a member."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    leads = models.BooleanField(default=False)
    since = models.BigIntegerField()

    class Meta:
        ordering = ["project", "-leads", "person"]
        constraints = [models.UniqueConstraint(fields=["project", "person"], name="member_once")]
