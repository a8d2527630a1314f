"""Reads the facts that the rules of registration judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from course_management.db.prepared_statements import send
from course_management.enrollments.facts_statement import SEPARATOR, STUDENTS
from course_management.enrollments.offerings import Offerings, read_offerings, to_optional
from course_management.rules import facts
from course_management.rules.requirements import key


@dataclass(slots=True)
class Facts:
    """Courses of terms and students, by id. The students have their enrollments in such courses
    (`before`), and no set `after`. `source` is what they were made from.
    """

    courses: Mapping[int, facts.Course]
    students: dict[int, facts.Student]
    source: Any


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
        texts = {student_id: found for student_id, found in rows}
    source = texts, versions
    if known and known.source == source:
        return known
    parts = {student_id: found.split(SEPARATOR) for student_id, found in texts.items()}
    held = {i: orjson.loads(f"[{found[-1]}]") if found[-1] else () for i, found in parts.items()}
    wanted = dict(versions)
    for courses in held.values():
        wanted.update((one[0], one[1]) for one in courses if one[1] is not None)
    edition = int(next(iter(parts.values()))[0]) if parts else 0
    offerings = read_offerings(connection, edition, wanted)
    kept = offerings.courses
    found_courses = {i: kept[i][1] for i in wanted if i in kept}
    students = {
        i: _student(i, found, held[i], found_courses, offerings) for i, found in parts.items()
    }
    return Facts(found_courses, students, source)


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
        frozenset(orjson.loads(groups)) if groups != "[]" else _NONE,
        _Completions(completions, offerings.same_as) if completions else (),
        [_hold(*values) for values in orjson.loads(holds)] if holds else (),
        [_override(*values) for values in orjson.loads(overrides)] if overrides else (),
        before,
    )


_NONE: frozenset[str] = frozenset()


# As Completion(…) with a tuple, and four times as fast.
_new_completion = partial(tuple.__new__, facts.Completion)


class _Completions(Sequence[facts.Completion]):
    """The completions of a student. They are made when a rule asks for them: most rules do not, and
    a student has dozens.
    """

    __slots__ = ("_document", "_found", "_same_as")

    def __init__(self, document: str, same_as: Mapping[str, frozenset[str]]) -> None:
        self._document, self._same_as = document, same_as
        self._found: list[facts.Completion] | None = None

    def _all(self) -> list[facts.Completion]:
        if self._found is None:
            same_as = self._same_as
            self._found = [
                _new_completion((*row, same_as.get(row[1], _NONE)))
                for row in orjson.loads(self._document)
            ]
        return self._found

    def __len__(self) -> int:
        return len(self._all())

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __iter__(self) -> Iterator[facts.Completion]:
        return iter(self._all())


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
