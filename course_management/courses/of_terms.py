"""Sets the fields of a course of a term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.catalog.models import CatalogEntry, CatalogEntryNotFound
from course_management.core import text
from course_management.core.errors import Invalid, NotFound
from course_management.courses.models import (
    DETAILS,
    CatalogEntryHasCourses,
    Course,
    TermHasCourses,
)
from course_management.terms.models import Term, TermNotFound

FIELDS = ("term", "catalog_code", *DETAILS)
_CODES: dict[str, tuple[type[Term | CatalogEntry], type[NotFound]]] = {
    "term": (Term, TermNotFound),
    "catalog_code": (CatalogEntry, CatalogEntryNotFound),
}


def set_term_fields(session: Session, course: Course, changes: Mapping[str, Any]) -> None:
    """Set the fields of `changes` that FIELDS names. Null, and a list without meetings, clear one.

    Raises TermNotFound or CatalogEntryNotFound with the unknown code, and Invalid if a course
    without a term would have other such fields, or if its credits are out of order. A course
    without `credits_min` has that of its entry.
    """
    given = {name: changes[name] for name in FIELDS if name in changes}
    if not given:
        return
    for name in _CODES.keys() & given.keys():
        setattr(course, name, _canonical(session, name, given.pop(name)))
    details = (course.details or {}) | given
    course.details = {
        name: value for name, value in details.items() if value not in (None, [])
    } or None
    _check(session, course)


def require_no_courses(session: Session, **reference: str) -> None:
    """Refuse to delete a term (`term`) or a catalog entry (`catalog_code`), which the caller has
    locked, while a course refers to its code.

    Raises TermHasCourses or CatalogEntryHasCourses.
    """
    ((name, code),) = reference.items()
    if session.scalar(sa.select(Course.id).where(getattr(Course, name) == code).limit(1)):
        raise TermHasCourses if name == "term" else CatalogEntryHasCourses


def _canonical(session: Session, name: str, code: str | None) -> str | None:
    """The code as the term or the entry has it."""
    if code is None:
        return None
    kind, error = _CODES[name]
    found = session.scalar(sa.select(kind.code).where(kind.code_key == text.key(code)))
    if found is None:
        raise error(missing=[code])
    return found


def _check(session: Session, course: Course) -> None:
    faults = []
    if course.term is None:
        faults = [
            (name, "Only a course of a term has this field. Send a term too, or null.")
            for name in FIELDS
            if getattr(course, name) is not None
        ]
    elif course.credits_max is not None:
        least = course.credits_min
        if least is None and course.catalog_code is not None:
            entry = sa.select(CatalogEntry.credits_min)
            least = session.scalar(entry.where(CatalogEntry.code == course.catalog_code))
        if course.credits_max < (least or 0):
            faults = [("credits_max", f"Must not be below credits_min, {least}.")]
    if faults:
        raise Invalid([{"pointer": f"/{name}", "detail": detail} for name, detail in faults])
