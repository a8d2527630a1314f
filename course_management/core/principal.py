"""The principal of a request: the API key or the person that sends it, and their scopes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ADMIN = "admin"
# Allows a principal to set the attribute by which sign-ins recognise a student.
IDENTITIES = "identities:write"
# Allows a principal to set the groups of students.
RECORDS = "records:write"
SCOPES = (
    *("courses:read", "courses:write"),
    *("students:read", "students:write"),
    *("enrollments:read", "enrollments:write"),
    *("records:read", "records:write"),
    *("holds:read", "holds:write"),
    *("overrides:read", "overrides:write"),
    IDENTITIES,
    "registrar",
    ADMIN,
)


def granted(words: Iterable[str]) -> frozenset[str]:
    """The scopes that `words` grant: `admin` includes all scopes, and `:write` includes `:read`.

    Words that are not scopes are ignored.
    """
    given = set(words) & set(SCOPES)
    if ADMIN in given:
        return frozenset(SCOPES)
    return frozenset(given | {word.replace(":write", ":read") for word in given} & set(SCOPES))


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request, once it is authenticated.

    `name` identifies them in the log and in the history of enrollments. `student_id` is the id of
    the student who has signed in; None for API keys and for people who are not students.
    """

    name: str
    scopes: frozenset[str]
    student_id: int | None = None
