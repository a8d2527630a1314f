"""What a request asks for, and what it changed: the typed objects between views and services."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """A student asks for seats in these courses; with `waitlist`, for a waitlist position where no
    seat is free.

    `capped_course_ids` are the courses that the precheck found to have a capacity. Knowing them
    saves a statement.
    """

    course_ids: Sequence[int]
    waitlist: bool = False
    capped_course_ids: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class RosterRequest:
    """Seats for these students in one course, in this order; with `waitlist`, waitlist positions
    where no seat is free. `course_id` and `is_capped` are what the precheck found.
    """

    student_ids: Sequence[int]
    waitlist: bool = False
    course_id: int | None = None
    is_capped: bool = False


@dataclass(frozen=True, slots=True)
class StudentResult:
    """What a request changed for a student: ids of courses, in the order of the request.

    `waitlisted` is None unless the request asked for the waitlist. `changed` says whether the
    student got anything new.
    """

    student_id: int
    added: list[int]
    kept: list[int]
    removed: list[int]
    waitlisted: list[int] | None
    changed: bool


@dataclass(frozen=True, slots=True)
class CourseResult:
    """What a request changed for a course: ids of students, in the order of the request."""

    course_id: int
    added: list[int]
    kept: list[int]
    waitlisted: list[int] | None
    changed: bool
