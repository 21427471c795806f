"""Persons, organisations, functions and letters.

A *person* signs in by handle; `unix_name` is the name on the cluster (and on the command line of this machine).
A *function* is one of the policy file's `partner:function` roles. `salt` makes ledger commitments; deleting it forgets.
"""

import secrets
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models

HANDLE = RegexValidator(r"^[a-z][a-z0-9._-]{0,39}$", "a handle is lower-case letters, digits, '.', '_' or '-'")
UNIX_NAME = RegexValidator(r"^[a-z_][a-z0-9_-]{0,31}$", "not a Unix user name")


def new_salt() -> str:
    return secrets.token_hex(16)


class Organisation(models.Model):
    """Who applies: its country (ISO 3166 alpha-2), its category in the policy file, the year it was founded."""

    name = models.CharField(max_length=200, unique=True)
    country = models.CharField(max_length=2)
    category = models.CharField(max_length=40)
    founded = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Person(AbstractBaseUser):
    """Somebody who can sign in and act."""

    handle = models.CharField(max_length=40, unique=True, validators=[HANDLE])
    name = models.CharField(max_length=200)
    email = models.EmailField()
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.PROTECT, related_name="persons"
    )
    unix_name = models.CharField(max_length=32, null=True, blank=True, unique=True, validators=[UNIX_NAME])
    salt = models.CharField(max_length=64, default=new_salt)
    is_active = models.BooleanField(default=True)
    demo = models.BooleanField(default=False)

    USERNAME_FIELD = "handle"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name", "email"]
    objects = BaseUserManager["Person"]()

    class Meta:
        ordering = ["handle"]

    def __str__(self) -> str:
        return self.name


class Function(models.Model):
    """A person holds a role of the policy file."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="functions")
    role = models.CharField(max_length=81)

    class Meta:
        ordering = ["role"]
        constraints = [models.UniqueConstraint(fields=["person", "role"], name="function_once")]


class Letter(models.Model):
    """A letter in the outbox; `sent` stays empty until a mail relay took it."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="letters")
    subject = models.CharField(max_length=200)
    body = models.TextField()
    about = models.CharField(max_length=80, db_index=True)
    written = models.BigIntegerField()
    sent = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-written", "-id"]
