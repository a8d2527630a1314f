"""Loads the demo school with a term: calendar, windows, catalog, courses, students with their
records, and enrollments that break no rule. demo_school.py has the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from course_management.catalog.models import RELATIONS, CatalogEntry, CatalogRelation
from course_management.core import text
from course_management.courses.models import Course
from course_management.db.base import as_number, now
from course_management.enrollments.models import ENROLLED, WAITLISTED, StudentCourse
from course_management.history.models import EnrollmentEvent, EventType, Why
from course_management.ops import demo, demo_school, rows
from course_management.ops.demo_records import RecordRows
from course_management.ops.demo_school import STANDINGS, TERM, School
from course_management.records.completions.models import Completion
from course_management.records.holds.models import Hold
from course_management.records.overrides.models import Override
from course_management.students.models import Student, StudentGroup
from course_management.terms.models import Term, TermWindow

WEEKS = 16
# The days before the load on which the windows opened: seniors and graduates first.
OPENED = {"graduate": 14, "senior": 13, "junior": 11, "sophomore": 10, "freshman": 9, None: 7}
COMMON = ("created_at", "updated_at", "version")
Progress = Callable[[int], None]


def load(session: Session, students: int, school: School, progress: Progress) -> None:
    """Insert the school, and this many students with their records and enrollments.

    On an empty database the ids of students and courses begin at 1. `progress` is called with the
    number of rows that were inserted since its last call. Raises CannotLoad if the
    database has a code of the demo school, or if another client inserts rows at the same time.
    """
    entries = list(demo_school.entries(school.courses))
    _require_none(session, [entry.code for entry in entries])
    _Loader(session, students, school, progress).load(entries)


def count_rows(students: int, each: int) -> int:
    """About how many rows `load` inserts for students."""
    return students * (1 + 2 + 2 * each + demo_school.COMPLETIONS + 1)


def _require_none(session: Session, codes: list[str]) -> None:
    """Raise CannotLoad if a code of the demo school is in use."""
    term = sa.select(Term.code).where(Term.code_key == text.key(TERM))
    entry = sa.select(CatalogEntry.code).where(CatalogEntry.code.in_(codes)).limit(1)
    for wanted in (term, entry):
        if found := session.scalar(wanted):
            raise rows.CannotLoad(
                f"The code {found} is in use. Load the school with a term into another database."
            )


class _Loader:
    """Inserts the rows. Enrollments are a day old, holds an hour."""

    def __init__(self, session: Session, students: int, school: School, progress: Progress) -> None:
        self.session, self.school, self.progress = session, school, progress
        self.students = range(students)
        self.moment = now()
        self.enrolled_at = self.moment - timedelta(days=1)
        self.first_course = rows.reserve(session, Course, school.courses)
        self.first_student = rows.reserve(session, Student, students)

    def load(self, entries: list[demo_school.Entry]) -> None:
        """Insert everything."""
        self._insert_calendar()
        self._insert_catalog(entries)
        wanted = Counter(course for n in self.students for course in self.school.takes(n))
        capacities = [demo_school.seats(i, wanted[i]) for i in range(self.school.courses)]
        self._insert_courses(wanted, capacities)
        self._insert_students()
        records = RecordRows(self.first_student, self.first_course, self.school, self.moment)
        for model, columns, source in (
            (Completion, records.COMPLETIONS, records.completions),
            (Hold, records.HOLDS, records.holds),
            (Override, records.OVERRIDES, records.overrides),
        ):
            self._insert(model, (*columns, *COMMON), source(self.students))
        self._insert(
            StudentCourse,
            ("student_id", "course_id", "state", "enrolled_at", "ticket", "credits"),
            self._enrollments(capacities),
        )
        self._insert(
            EnrollmentEvent,
            ("at", "student_id", "course_id", "to_state", "why", "ticket", "type", "data"),
            self._events(capacities),
        )

    def _insert(self, model: Any, columns: tuple[str, ...], source: Iterator[Any]) -> None:
        rows.insert(self.session, model, columns, source, self.progress)

    def _insert_calendar(self) -> None:
        """The term begins on a Monday in about four weeks, and its halves follow each other."""
        today = self.moment.date()
        starts = today + timedelta(days=28 - today.weekday())
        middle, ends = (starts + timedelta(weeks=weeks, days=-1) for weeks in (WEEKS // 2, WEEKS))
        whole = self._term(TERM, "Demo term", starts, ends)
        whole.time_zone = "America/Chicago"
        whole.min_credits, whole.max_credits, whole.max_courses = 3, 18, 8
        halves = [
            self._term(f"{TERM}-A", "Demo term, first half", starts, middle),
            self._term(f"{TERM}-B", "Demo term, second half", middle + timedelta(days=1), ends),
        ]
        for half in halves:
            half.whole = whole
        self.session.add_all([whole, *halves])
        self.session.flush()
        windows = [
            {
                "term_id": whole.id,
                "number": number,
                "group_name": group and f"standing:{group}",
                "opens_at": self.moment - timedelta(days=days),
                "closes_at": whole.add_until,
            }
            for number, (group, days) in enumerate(OPENED.items(), 1)
        ]
        self.session.execute(sa.insert(cast(sa.Table, TermWindow.__table__)), windows)

    def _term(self, code: str, name: str, starts: date, ends: date) -> Term:
        """A term whose deadlines are after a tenth, a fifth and two thirds of its days."""
        term = Term(code=code, name=name, starts_on=starts, ends_on=ends)
        term.add_until, term.drop_until, term.withdraw_until = (
            datetime.combine(starts + (ends - starts) * part // 30, time(17), UTC)
            for part in (3, 6, 20)
        )
        return term

    def _insert_catalog(self, entries: list[demo_school.Entry]) -> None:
        first = rows.reserve(self.session, CatalogEntry, len(entries))
        values = [
            {
                "id": i,
                "code": entry.code,
                "code_key": text.key(entry.code),
                "title": entry.title,
                "title_key": text.key(entry.title),
                "credits_min": entry.credits[0],
                "credits_max": entry.credits[1],
                **{name: getattr(entry, name) for name in ("prerequisites", *RELATIONS)},
                "max_attempts": entry.max_attempts,
                "created_at": self.moment,
                "updated_at": self.moment,
                "version": 1,
            }
            for i, entry in enumerate(entries, first)
        ]
        self.session.execute(sa.insert(cast(sa.Table, CatalogEntry.__table__)), values)
        self._insert(
            CatalogRelation,
            ("entry_id", "kind", "code_key"),
            (
                (i, kind, text.key(code))
                for i, entry in enumerate(entries, first)
                for kind in RELATIONS
                for code in getattr(entry, kind)
            ),
        )

    def _insert_courses(self, wanted: Counter[int], capacities: list[int | None]) -> None:
        def source() -> Iterator[tuple[Any, ...]]:
            for i, capacity in enumerate(capacities):
                course_id, code = self.first_course + i, demo_school.catalog_code(i)
                name = f"{code.title()}, section {course_id}"
                part = demo_school.PARTS[i % demo_school.DEPARTMENT]
                waiting = 0 if capacity is None else max(0, wanted[i] - capacity)
                yield (
                    *(course_id, name, text.key(name)),
                    STANDINGS[min(demo_school.NUMBERS[i % demo_school.DEPARTMENT] // 100 - 1, 3)],
                    *(capacity, None if capacity is None else wanted[i] - waiting),
                    *(None, waiting, waiting + 1),
                    *(f"{TERM}-{part}" if part else TERM, code, demo_school.details(i)),
                    *(self.moment, self.moment, 1),
                )

        columns = (
            *("id", "name", "name_key", "level", "capacity", "seats_taken", "waitlist_capacity"),
            *("waitlisted", "next_ticket", "term", "catalog_code", "details"),
        )
        self._insert(Course, (*columns, *COMMON), source())

    def _insert_students(self) -> None:
        def source() -> Iterator[tuple[Any, ...]]:
            for n in self.students:
                i = self.first_student + n
                yield (*demo.student(i), demo_school.groups(n), self.moment, self.moment, 1)

        columns = ("id", "name", "name_key", "email", "email_key", "groups")
        self._insert(Student, (*columns, *COMMON), source())
        self._insert(
            StudentGroup,
            ("student_id", "group_name"),
            (
                (self.first_student + n, group)
                for n in self.students
                for group in demo_school.groups(n)
            ),
        )

    def _taken(self, capacities: list[int | None]) -> Iterator[tuple[int, int, int | None, int]]:
        """Each enrollment: student, course, ticket (None: a seat), and credits in hundredths."""
        given: Counter[int] = Counter()
        for n in self.students:
            for course in self.school.takes(n):
                capacity = capacities[course]
                given[course] += 1
                waits = capacity is not None and given[course] > capacity
                yield (
                    *(self.first_student + n, self.first_course + course),
                    given[course] - cast(int, capacity) if waits else None,
                    demo_school.credits_of(course),
                )

    def _enrollments(self, capacities: list[int | None]) -> Iterator[tuple[Any, ...]]:
        for student, course, ticket, number in self._taken(capacities):
            if ticket is None:
                yield student, course, ENROLLED, self.enrolled_at, None, number
            else:
                yield student, course, WAITLISTED, None, ticket, number

    def _events(self, capacities: list[int | None]) -> Iterator[tuple[Any, ...]]:
        kind = EventType.ENROLLMENT_CHANGED.value
        for student, course, ticket, number in self._taken(capacities):
            state = ENROLLED if ticket is None else WAITLISTED
            data = {"credits": as_number(number)}
            yield self.enrolled_at, student, course, state, Why.LOADED.value, ticket, kind, data
