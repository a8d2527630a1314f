"""The typed objects between views and services: requests, and results of writes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class EnrollmentRequest:
    """A request for seats in these courses; with `waitlist`, for a waitlist position if no seat is
    free.

    The precheck sets `capped_course_ids`, the courses that have a capacity. Knowing them saves a
    statement.
    """

    course_ids: Sequence[int]
    waitlist: bool = False
    reason: str | None = None
    capped_course_ids: Collection[int] = ()


@dataclass(slots=True)
class ChangeRequest:
    """A student asks for seats in these courses and gives up those of `drop`.

    A waitlist position will do for the courses in `waitlist`. `capped_course_ids` are the courses
    to add that the precheck found to have a capacity.
    """

    course_ids: Sequence[int]
    drop: Sequence[int]
    waitlist: Collection[int] = ()
    reason: str | None = None
    capped_course_ids: Collection[int] = ()


@dataclass(slots=True)
class RosterRequest:
    """A request for seats for these students in one course, in this order; with `waitlist`, for
    waitlist positions if no seat is free.

    The precheck sets `course_id` and `is_capped`: whether the course has a capacity.
    """

    student_ids: Sequence[int]
    waitlist: bool = False
    reason: str | None = None
    course_id: int | None = None
    is_capped: bool = False


@dataclass(frozen=True, slots=True)
class StudentResult:
    """The result for a student: ids of courses, in the order of the request.

    `added` are courses with a new seat, `kept` those with a seat from before the request, and
    `removed` those that were dropped. `waitlisted` is None unless the request asked for the
    waitlist. `changed` says whether the student got a new seat or position.
    """

    student_id: int
    added: list[int]
    kept: list[int]
    removed: list[int]
    waitlisted: list[int] | None
    changed: bool
    etag: str | None = None  # of all courses of the student


@dataclass(frozen=True, slots=True)
class CourseSet:
    """All courses of a student, in the order of their ids: those with a seat, and those with a
    waitlist position.
    """

    student_id: int
    course_ids: Sequence[int]
    waitlisted: Sequence[int]

    @property
    def etag(self) -> str:
        """It changes with the courses and their states, not with positions."""
        both = repr((sorted(self.course_ids), sorted(self.waitlisted)))
        return f"{self.student_id}-{hashlib.sha256(both.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class CourseResult:
    """The result for a course: ids of students, in the order of the request (see StudentResult)."""

    course_id: int
    added: list[int]
    kept: list[int]
    waitlisted: list[int] | None
    changed: bool
