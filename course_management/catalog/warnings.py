"""Warnings about a catalog entry: what may be a mistake, and is not refused. Schools write their
catalog in any order, so a code may not exist yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.catalog.models import CatalogEntry
from course_management.catalog.queries import table, unknown_codes
from course_management.core import text
from course_management.rules.expressions import codes_of, grades_of

MAX_STEPS = 8  # of a circle of prerequisites


def warnings_about(session: Session, entry: CatalogEntry, grades: Collection[str]) -> list[str]:
    """Sentences about codes that no entry has, about grades that the school does not have, and
    about prerequisites in a circle.
    """
    named = [*codes_of(entry.prerequisites or {}), *entry.excludes, *entry.same_as]
    found = [
        f"No catalog entry has the code {code}."
        for code in unknown_codes(session, dict.fromkeys(named))
    ]
    wanted = dict.fromkeys(grade for _, grade in grades_of(entry.prerequisites or {}))
    found += [
        f"The school has no grade {grade}: nobody meets a condition with it."
        for grade in wanted
        if grade not in grades
    ]
    circle = _circle(session, entry)
    if circle:
        found.append(f"The prerequisites form a circle: {' -> '.join(circle)}.")
    return found


def _circle(session: Session, entry: CatalogEntry) -> list[str]:
    """The codes of a shortest circle of prerequisites through the entry, or nothing. Follows
    prerequisites for at most MAX_STEPS, one statement each.
    """
    if not entry.prerequisites:
        return []
    paths = {text.key(code): [entry.code, code] for code in codes_of(entry.prerequisites)}
    seen: set[str] = set()
    for _ in range(MAX_STEPS):
        if entry.code_key in paths:
            return [*paths[entry.code_key][:-1], entry.code]
        seen |= paths.keys()
        paths = {
            text.key(code): [*paths[key], code]
            for key, prerequisites in _prerequisites(session, paths)
            for code in codes_of(prerequisites)
            if text.key(code) not in seen
        }
        if not paths:
            break
    return []


def _prerequisites(session: Session, keys: Iterable[str]) -> list[tuple[str, dict[str, object]]]:
    wanted = sa.select(table.c.code_key, table.c.prerequisites).where(
        table.c.code_key.in_(list(keys)), table.c.prerequisites.is_not(None)
    )
    return [(row.code_key, row.prerequisites) for row in session.execute(wanted)]
