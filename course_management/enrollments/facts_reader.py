"""Reads the facts that the rules of registration judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from course_management.db.prepared_statements import send
from course_management.enrollments.facts_statement import SEPARATOR, STUDENTS
from course_management.enrollments.models import ENROLLED, WAITLISTED
from course_management.enrollments.offerings import Offerings, read_offerings, to_optional
from course_management.rules import facts
from course_management.rules.requirements import key
from course_management.rules.stored_completions import StoredCompletions


@dataclass(slots=True)
class Facts:
    """Courses of terms and students, by id. The students have their enrollments in such courses
    (`before`), and no set `after`. `source` is what they were made from: the text about each
    student, and the versions of the courses.
    """

    courses: Mapping[int, facts.Course]
    students: dict[int, facts.Student]
    source: tuple[Mapping[int, str], Mapping[int, int]]

    def states(self) -> dict[tuple[int, int], str]:
        """The state of each enrollment of the students, by the ids of the student and the course.
        Courses without a term are not left out.
        """
        return {
            (student_id, held[0]): ENROLLED if held[2] else WAITLISTED
            for student_id, text in self.source[0].items()
            for held in _held(text.split(SEPARATOR))
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
    process does not know all courses. `known` are the facts that were read before the lock. If
    nothing has changed, they are returned: making them takes longer than comparing texts.
    """
    if text is not None:
        texts = {student_ids[0]: text}
    else:
        rows: Any = send(connection, (STUDENTS, {"students": student_ids}))
        texts = dict(map(tuple, rows))
    source = texts, versions
    if known and known.source == source:
        return known
    parts = {student_id: found.split(SEPARATOR) for student_id, found in texts.items()}
    held = {student_id: _held(found) for student_id, found in parts.items()}
    wanted = dict(versions)
    for courses in held.values():
        wanted.update((one[0], one[1]) for one in courses if one[1] is not None)
    # Each student comes with the edition. Without one, the courses have no edition.
    edition = int(next(iter(parts.values()))[0]) if parts else None
    offerings = read_offerings(connection, edition, wanted)
    kept = offerings.courses
    found_courses = {i: kept[i][1] for i in wanted if i in kept}
    students = {
        i: _student(i, found, held[i], found_courses, offerings) for i, found in parts.items()
    }
    return Facts(found_courses, students, source)


def _held(parts: Sequence[str]) -> Sequence[Any]:
    """The enrollments of a student, as in the text about them."""
    found: Sequence[Any] = orjson.loads(f"[{parts[-1]}]") if parts[-1] else ()
    return found


def _student(
    student_id: int,
    parts: Sequence[str],
    held: Sequence[Any],
    courses: Mapping[int, facts.Course],
    offerings: Offerings,
) -> facts.Student:
    _, groups, completions, holds, overrides, _ = parts
    before = {}
    for course_id, version, is_seat, chosen in held:
        if version is not None and course_id in courses:
            course = courses[course_id]
            taken = course.credits_min if chosen is None else chosen
            before[course_id] = facts.Held(course, is_seat == 1, taken)
    return facts.Student(
        student_id,
        _groups(groups),
        StoredCompletions(completions, offerings.same_as) if completions else (),
        [_hold(*values) for values in orjson.loads(holds)] if holds else (),
        [_override(*values) for values in orjson.loads(overrides)] if overrides else (),
        before,
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
