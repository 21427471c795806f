"""Forgetting a person: what says who it was goes, what the ledger needs stays.

The row stays as *forgotten person* under a neutral handle, because signatures and applications hang on it. Without the
salt nobody can tell any more whom the commitments in the chain mean, nor make the pseudonyms of past exports again.
"""

from schmelz.portal.people.models import Function, Letter, Person

NAME = "forgotten person"


def erase(person: Person) -> None:
    """Take away everything that names the person, inside the caller's transaction."""
    Letter.objects.filter(person=person).delete()
    Function.objects.filter(person=person).delete()
    person.handle, person.name, person.email = f"forgotten-{person.pk}", NAME, ""
    person.unix_name = person.organisation = person.last_login = None
    person.salt, person.is_active, person.demo = "", False, False
    person.set_unusable_password()
    person.save()
