"""A factory with access modes for the tests of eligibility and awards; its first language is not English."""

from datetime import date
from typing import Any

import make
from schmelz.policy.schema import Factory


def mode(**changes: Any) -> dict[str, Any]:
    """One access mode as the file has it, with changes."""
    return {
        "id": "spark",
        "pool": "eurohpc",
        "systems": [make.SYSTEM],
        "title": {"fi": "Kipinä"},
        "summary": {"fi": "Pieni"},
        "for": ["startup"],
        "gpu_hours": {"min": 10, "default": 50, "max": 100},
        "months": [1, 3],
        "order": "first-in-first-out",
        "steps": ["eligibility"],
        "answer_in": "2 working days",
        "price": dict.fromkeys(changes.get("for", ["startup"]), "free"),
        "state": "open",
        "source": "made for tests",
        "read": date(2026, 11, 23),
        **changes,
    }


def factory(*modes: dict[str, Any]) -> Factory:
    """A factory with these modes, two categories, a region and a statement."""
    tables = make.factory().model_dump(by_alias=True)
    tables["factory"]["languages"] = ["fi"]
    tables["categories"] = [
        {"id": "startup", "title": {"fi": "Alku"}, "commercial": False},
        {"id": "sme", "title": {"fi": "Pk", "en": "Small company"}, "commercial": True},
    ]
    tables["regions"] = [{"id": "north", "title": {"fi": "Pohjola"}, "countries": ["FI", "SE"], "source": "made"}]
    tables["statements"] = [{"id": "civil", "text": {"fi": "Siviili"}, "source": "made"}]
    return Factory.model_validate(tables | {"modes": list(modes)})
