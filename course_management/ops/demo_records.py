"""The rows of completions, holds and overrides of the demo school (demo_school.py)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from course_management.core import text
from course_management.ops import demo_school
from course_management.ops.demo_school import TERM, School

_key = lru_cache(maxsize=4096)(text.key)


class RecordRows:
    """The rows of students with numbers from 0, whose ids begin at `first_student`.

    Every 40th student has a hold that blocks adds, others have one that blocks drops or is
    released. Overrides give the consent that some of the enrollments need, or raise a limit;
    others have expired or are revoked.
    """

    COMPLETIONS = (
        *("student_id", "catalog_code", "catalog_key", "test", "test_key"),
        *("kind", "grade", "score", "credits", "term"),
    )
    HOLDS = (
        *("student_id", "code", "detail", "contact", "blocks"),
        *("until", "released_at"),
    )
    OVERRIDES = (
        *("student_id", "rule", "course_id", "catalog_code", "term"),
        *("value", "reason", "expires_at", "revoked_at"),
    )

    def __init__(
        self, first_student: int, first_course: int, school: School, moment: datetime
    ) -> None:
        self.first_student, self.first_course = first_student, first_course
        self.school, self.moment = school, moment

    def completions(self, students: range) -> Iterator[tuple[Any, ...]]:
        """What students have done, in a term before."""
        term = f"{self.moment.year - 1}-FALL"
        common = (self.moment, self.moment, 1)
        for n in students:
            student = self.first_student + n
            for code, kind, grade, score, number in self.school.completions(n):
                named, unnamed = (code, _key(code)), (None, None)
                subject = (*named, *unnamed) if score is None else (*unnamed, *named)
                yield (student, *subject, kind, grade, score, number, term, *common)

    def holds(self, students: range) -> Iterator[tuple[Any, ...]]:
        """The holds. They were placed after the enrollments were made."""
        placed = self.moment - timedelta(hours=1)
        for n in students:
            student = self.first_student + n
            if n % 40 == 12:
                bursar = ("BURSAR", "A fee is not paid.", "bursar@example.edu", ["add"])
                yield (student, *bursar, None, None, placed, placed, 1)
            elif n % 40 == 13:
                advice = ("ADVISING", "Speak to your adviser first.", None, ["drop"])
                yield (student, *advice, self.moment + timedelta(days=30), None, placed, placed, 1)
            elif n % 40 == 14:
                library = ("LIBRARY", "A book is overdue.", None, ["add", "drop"])
                yield (student, *library, None, self.moment, placed, self.moment, 2)

    def overrides(self, students: range) -> Iterator[tuple[Any, ...]]:
        """The overrides. They were granted before the enrollments were made."""
        granted = self.moment - timedelta(days=2)
        for n in students:
            student, taken = self.first_student + n, self.school.takes(n)
            if taken and demo_school.is_independent(n):
                target = (self.first_course + taken[-1], None, None)
                lifted = ("consent-required", *target, None, "The instructor agreed")
                yield (student, *lifted, None, None, granted, granted, 1)
            elif n % 50 == 8:
                limit = ("credits-exceeded", None, None, TERM, 2100, "Good grades")
                yield (student, *limit, None, None, granted, granted, 1)
            elif n % 50 == 9:
                entry = demo_school.code(self.school.first_department(n), 401)
                waived = ("prerequisite-missing", None, entry, None, None, "Placement test")
                revoked = self.moment if n % 100 == 9 else None
                expires = None if revoked else granted + timedelta(days=1)
                yield (student, *waived, expires, revoked, granted, revoked or granted, 1)
