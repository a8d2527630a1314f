"""What comes in and goes out of enrollments."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load, validate

from course_management.courses.schemas import CourseOut, CourseQuery
from course_management.enrollments.models import ENROLLED, STATES
from course_management.enrollments.requests import EnrollmentRequest, RosterRequest
from course_management.students.schemas import StudentOut, StudentQuery
from course_management.web.fields import (
    Answer,
    Flag,
    Id,
    Ids,
    Moment,
    PageQuery,
    StrictSchema,
    Total,
)

_one_state = validate.OneOf(STATES, error=f"Must be one of: {', '.join(STATES)}.")


_WAITLIST = {
    "description": "Join the waitlist of a course that has no free seat; false by default.",
    "example": False,
}
_STATE = {"example": ENROLLED}


class Waiting(StrictSchema):
    """Whether to accept a waitlist position if no seat is free."""

    waitlist = Flag(load_default=False, metadata=_WAITLIST)


class Standing(Answer):
    """Since when a student has a seat, or their position on the waitlist."""

    enrolled_at = Moment(
        allow_none=True,
        metadata={"description": "When the student got the seat; null on the waitlist."},
    )
    state = fields.String(validate=_one_state, metadata=_STATE)
    position = Total(
        allow_none=True,
        metadata={
            "description": "The position on the waitlist right now: 1 is next; null with a seat.",
            "example": None,
        },
    )


class TakenQuery(CourseQuery):
    """How the courses of a student are filtered, sorted and paged."""

    state = fields.String(
        validate=_one_state, metadata={"description": "Only enrollments in this state."}
    )


class RosterQuery(StudentQuery):
    """How a roster is filtered, sorted and paged."""

    state = fields.String(
        validate=_one_state, metadata={"description": "Only enrollments in this state."}
    )


class HistoryQuery(PageQuery):
    """How a record is paged."""


class CourseIds(Waiting):
    """The courses to enroll in. Loads an EnrollmentRequest."""

    course_ids = Ids(1, 100, required=True, metadata={"example": [1, 2]})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        return EnrollmentRequest(**data)


class CourseSet(CourseIds):
    """The courses that become the whole set of the student. Loads an EnrollmentRequest."""

    course_ids = Ids(0, 100, required=True, metadata={"example": [2, 3]})


class OneCourse(Waiting):
    """The course to enroll in. Loads an EnrollmentRequest."""

    course_id = Id(required=True, metadata={"example": 1})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> EnrollmentRequest:
        return EnrollmentRequest([data["course_id"]], data["waitlist"])


class StudentIds(StrictSchema):
    """The students to drop. Loads a RosterRequest."""

    student_ids = Ids(1, 1000, required=True, metadata={"example": [1, 2]})

    @post_load
    def _as_request(self, data: dict[str, Any], **_: Any) -> RosterRequest:
        return RosterRequest(**data)


class StudentIdsToEnroll(StudentIds, Waiting):
    """The students to enroll, in the order in which they get seats. Loads a RosterRequest."""


class EnrollmentOut(Standing):
    """One student takes one course, or waits for a seat in it."""

    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})


class CourseResult(Answer):
    """What a request changed for a course, in the order of its ids; each is in one list."""

    course_id = Id(metadata={"example": 7})
    added = fields.List(
        Id(), metadata={"description": "Who has a seat now and had none before.", "example": [1]}
    )
    kept = fields.List(Id(), metadata={"description": "Who had a seat already.", "example": [2]})
    waitlisted = fields.List(
        Id(),
        metadata={
            "description": "The students on the waitlist; only where the request has `waitlist`.",
            "example": [3],
            "sometimes": True,
        },
    )


class StudentResult(Answer):
    """What a request changed for a student, in the order of its ids; each is in one list."""

    student_id = Id(metadata={"example": 1})
    added = fields.List(
        Id(), metadata={"description": "The courses with a new seat.", "example": [2]}
    )
    kept = fields.List(
        Id(), metadata={"description": "The courses with a seat as before.", "example": [3]}
    )
    removed = fields.List(Id(), metadata={"description": "The courses dropped.", "example": []})
    waitlisted = fields.List(
        Id(),
        metadata={
            "description": "The courses on whose waitlist they are; only where the request has "
            "`waitlist`.",
            "example": [7],
            "sometimes": True,
        },
    )


class DropResult(Answer):
    """Whom a request dropped from a course, in the order of its ids."""

    course_id = Id(metadata={"example": 7})
    removed = fields.List(Id(), metadata={"example": [1, 2]})


_Moves = Answer.from_dict(
    {"from": fields.String(allow_none=True, validate=_one_state, metadata={"example": None})}
)


# `from` is a keyword: no class body can say it
class EventOut(_Moves):  # type: ignore[misc,valid-type]
    """One move: from one state (null: none) to another (null: none), and why."""

    id = Id(metadata={"example": 42})
    at = Moment()
    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})
    to = fields.String(allow_none=True, validate=_one_state, metadata=_STATE)
    why = fields.String(
        metadata={
            "description": "requested, promoted, dropped, student-deleted, migrated, loaded …",
            "example": "requested",
        }
    )
    request_id = fields.String(
        allow_none=True,
        metadata={"description": "The request that made the move.", "example": "6f1c0a52"},
    )
    actor = fields.String(
        allow_none=True,
        metadata={
            "description": "Who sent that request: `key:` and a name, or `oidc:` and a subject; "
            "null where nobody had to say.",
            "example": "key:SIS sync",
        },
    )


class CourseTaken(CourseOut, Standing):
    """A course that a student takes or waits for."""


class StudentEnrolled(StudentOut, Standing):
    """A student on a course's roster."""
