"""The typed objects between views and services: requests, and results of writes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from course_management.db.base import now
from course_management.rules.facts import Settings
from course_management.rules.grades import GRADES_BY_DEFAULT

SETTINGS_BY_DEFAULT = Settings(GRADES_BY_DEFAULT)


@dataclass(frozen=True, slots=True)
class RulesContext:
    """What the rules of registration need to know besides facts: the moment of the request, which
    its repetitions keep, and the settings. With `skip`, the request is not judged: a system of
    record states facts.
    """

    moment: datetime = field(default_factory=now)
    settings: Settings = SETTINGS_BY_DEFAULT
    skip: bool = False


@dataclass(slots=True, kw_only=True)
class RuledRequest:
    """A request that the rules of registration judge: its reason, the courses that it drops, and
    the credits that it chooses, by course, in hundredths.

    With `replaces`, it drops courses that only the service finds: the precheck cannot judge it.
    `external_ids` name the courses, or the students of a RosterRequest, if the body has no ids:
    named_rows.py then sets the ids. `facts` are those that the precheck has read, and `judged` is
    its judgement.
    """

    reason: str | None = None
    external_ids: Sequence[str] | None = None
    drop: Sequence[int] = ()
    credits: Mapping[int, int] = field(default_factory=dict)
    replaces: bool = False
    context: RulesContext = field(default_factory=RulesContext)
    facts: Any = None  # facts_reader.Facts
    judged: Any = None  # registration.Judged


@dataclass(slots=True)
class EnrollmentRequest(RuledRequest):
    """A request for seats in these courses; with `waitlist`, for a waitlist position if no seat is
    free.

    The precheck sets `capped_course_ids`, the courses that have a capacity. Knowing them saves a
    statement. `term` is the code of the term whose courses the request replaces.
    """

    course_ids: Sequence[int] = ()
    waitlist: bool = False
    capped_course_ids: Collection[int] = ()
    term: str | None = None


@dataclass(slots=True)
class ChangeRequest(RuledRequest):
    """A student asks for seats in these courses and gives up those of `drop`.

    A waitlist position will do for the courses in `waitlist`. `capped_course_ids` are the courses
    to add that the precheck found to have a capacity.
    """

    course_ids: Sequence[int]
    waitlist: Collection[int] = ()
    capped_course_ids: Collection[int] = ()


@dataclass(slots=True)
class RosterRequest(RuledRequest):
    """A request for seats for these students in one course, in this order; with `waitlist`, for
    waitlist positions if no seat is free.

    The precheck sets `course_id` and `is_capped`: whether the course has a capacity.
    """

    student_ids: Sequence[int] = ()
    waitlist: bool = False
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
    warnings: list[dict[str, Any]] | None = None  # of the rules of registration


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
    warnings: list[dict[str, Any]] | None = None
