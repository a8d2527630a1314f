"""Who asks, and what it may do. Knows neither HTTP nor the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ADMIN = "admin"
IDENTITIES = "identities:write"  # to say who a student is: whom a sign-in is taken for
SCOPES = (
    *("courses:read", "courses:write"),
    *("students:read", "students:write"),
    *("enrollments:read", "enrollments:write"),
    IDENTITIES,
    ADMIN,
)


def granted(words: Iterable[str]) -> frozenset[str]:
    """The scopes that `words` amount to: `admin` is all of them, and who may write may read what
    it wrote.
    """
    given = set(words) & set(SCOPES)
    if ADMIN in given:
        return frozenset(SCOPES)
    return frozenset(given | {word.replace(":write", ":read") for word in given} & set(SCOPES))


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known: a name for the log and the record, its scopes, and the student it is, if
    it is one.
    """

    name: str
    scopes: frozenset[str]
    student_id: int | None = None
