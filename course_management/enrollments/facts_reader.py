"""Reads the facts that the rules of registration judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from course_management.db.prepared_statements import send
from course_management.db.snapshots import if_quiet
from course_management.enrollments.facts_statement import BETWEEN, SEPARATOR, STUDENTS
from course_management.enrollments.models import ENROLLED, WAITLISTED
from course_management.enrollments.offerings import (
    Offerings,
    keeps_facts,
    read_offerings,
    to_optional,
)
from course_management.rules import facts
from course_management.rules.facts import Held
from course_management.rules.requirements import key
from course_management.rules.stored_completions import StoredCompletions


@dataclass(slots=True)
class Facts:
    """Courses of terms and students, by id. The students have their enrollments in such courses
    (`before`), and no set `after`. `source` is what they were made from: the texts about each
    student, and the versions of the courses. `snapshot` is that of the statement that read them.
    """

    courses: Mapping[int, facts.Course]
    students: dict[int, facts.Student]
    source: tuple[Mapping[int, Sequence[str]], Mapping[int, int]]
    snapshot: str = ""

    def states(self) -> dict[tuple[int, int], str]:
        """The state of each enrollment of the students, by the ids of the student and the course.
        Courses without a term are not left out.
        """
        return {
            (student_id, course_id): ENROLLED if is_seat else WAITLISTED
            for student_id, texts in self.source[0].items()
            for course_id, _, is_seat, _ in map(_enrollment, _enrollments(texts))
        }


def read_facts(
    connection: Connection,
    student_ids: Sequence[int],
    versions: Mapping[int, int],
    known: Facts | None = None,
    text: str | None = None,
) -> Facts:
    """The facts about these students, and about the courses of `versions` (by id) and those that
    the students have. Courses without a term are left out.

    Sends one statement, unless `text` has the facts about the one student; and one more if this
    process does not know all courses. `known` are the facts about the same students that were read
    before the lock. If nothing has changed, they are returned: making them takes longer than
    comparing texts. If nothing at all was committed meanwhile, PostgreSQL does not even read them.
    """
    if text is not None:
        texts, at = {student_ids[0]: text.split(SEPARATOR)}, ""
    else:
        seen = ""
        if known and known.source[1] == versions and keeps_facts(connection):
            seen = known.snapshot
        rows: Any = send(connection, (STUDENTS, {"students": student_ids, "seen": seen}))
        found = {row[0]: row[1:] for row in rows}
        at = if_quiet(found.pop(0)[0])
        if known and at and at == seen:
            return known
        # Broken rules are listed in the order of the request.
        texts = {i: found[i] for i in student_ids if i in found}
    source = texts, versions
    if known and known.source == source:
        return known
    # Many students have the same enrollment: the same course, with the same credits.
    different = {text for of_student in texts.values() for text in _enrollments(of_student)}
    enrollments = {text: _enrollment(text) for text in different}
    wanted = dict(versions)
    wanted |= {course_id: version for course_id, version, _, _ in enrollments.values() if version}
    # Each student comes with the edition. Without one, the courses have no edition.
    edition = int(next(iter(texts.values()))[0]) if texts else None
    offerings = read_offerings(connection, edition, wanted)
    kept = offerings.courses
    courses = {i: kept[i][1] for i in wanted if i in kept}
    held = {
        text: (course.id, Held(course, is_seat == 1, course.credits_min if n is None else n))
        for text, (course_id, _, is_seat, n) in enrollments.items()
        if (course := courses.get(course_id))
    }
    students = {i: _student(i, one, held, offerings) for i, one in texts.items()}
    return Facts(courses, students, source, at)


def _enrollments(texts: Sequence[str]) -> list[str]:
    """The enrollments of a student, in the texts about them."""
    return texts[-1].split(BETWEEN) if texts[-1] else []


def _enrollment(text: str) -> tuple[int, int | None, int, int | None]:
    """The values of an enrollment: see `facts_statement.py`."""
    course_id, version, is_seat, chosen = orjson.loads(f"[{text}]")
    return course_id, version, is_seat, chosen


def _student(
    student_id: int,
    texts: Sequence[str],
    held: Mapping[str, tuple[int, Held]],
    offerings: Offerings,
) -> facts.Student:
    _, groups, completions, holds, overrides, _ = texts
    return facts.Student(
        student_id,
        _groups(groups),
        StoredCompletions(completions, offerings.same_as) if completions else (),
        [_hold(*values) for values in orjson.loads(holds)] if holds else (),
        [_override(*values) for values in orjson.loads(overrides)] if overrides else (),
        dict(filter(None, map(held.get, _enrollments(texts)))),
    )


@lru_cache(maxsize=8192)
def _groups(text: str) -> frozenset[str]:
    return frozenset(orjson.loads(text))


def _hold(
    hold_id: int, code: str, detail: str, contact: str | None, blocks: list[str], until: str | None
) -> facts.Hold:
    return facts.Hold(hold_id, code, detail, contact, frozenset(blocks), to_optional(until))


def _override(
    override_id: int,
    rule: str,
    course_id: int | None,
    code: str | None,
    term: str | None,
    value: int | None,
    until: str | None,
) -> facts.Override:
    keys = (code and key(code), term and key(term))
    return facts.Override(override_id, rule, course_id, *keys, value, to_optional(until))
