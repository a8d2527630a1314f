"""What comes in and goes out of enrollments."""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.courses.schemas import CourseOut, CourseQuery
from course_management.enrollments.models import STATES
from course_management.students.schemas import StudentOut, StudentQuery
from course_management.web.fields import Flag, Id, Ids, PageQuery, StrictSchema

_one_state = validate.OneOf(STATES, error=f"Must be one of: {', '.join(STATES)}.")


class Waiting(StrictSchema):
    """Whether a place in line will do where the seats are gone."""

    waitlist = Flag(load_default=False, metadata={"description": "Join the line of a course whose seats are gone."})


class Standing(StrictSchema):
    """Since when a student has a seat; or that it waits for one, and where in line."""

    enrolled_at = fields.DateTime(allow_none=True, metadata={"description": "Since when it has the seat; null while it waits."})
    state = fields.String(validate=_one_state)
    position = fields.Integer(allow_none=True, metadata={"description": "Its place in line right now: 1 is next."})


class TakenQuery(CourseQuery):
    """How the courses of a student are filtered, sorted and paged."""

    state = fields.String(validate=_one_state, metadata={"description": "Those with a seat, or those in line."})


class RosterQuery(StudentQuery):
    """How a roster is filtered, sorted and paged."""

    state = fields.String(validate=_one_state, metadata={"description": "Those with a seat, or those in line."})


class HistoryQuery(PageQuery):
    """How a record is paged."""


class CourseIds(Waiting):
    """The courses to enroll in."""

    course_ids = Ids(1, 100, required=True, metadata={"example": [1, 2]})


class CourseSet(Waiting):
    """The courses that become the student's whole set."""

    course_ids = Ids(0, 100, required=True, metadata={"example": [2, 3]})


class OneCourse(Waiting):
    """The course to enroll in."""

    course_id = Id(required=True, metadata={"example": 1})


class StudentIds(StrictSchema):
    """The students to drop."""

    student_ids = Ids(1, 1000, required=True, metadata={"example": [1, 2]})


class StudentIdsToEnroll(StudentIds, Waiting):
    """The students to enroll; seats go in this order."""


class EnrollmentOut(Standing):
    """One student takes one course, or waits for a seat in it."""

    student_id = fields.Integer(required=True)
    course_id = fields.Integer(required=True)


class CourseResult(StrictSchema):
    """What a request changed for a course, in the order of its ids; each is in one list."""

    course_id = fields.Integer(required=True)
    added = fields.List(fields.Integer(), required=True)
    kept = fields.List(fields.Integer(), required=True)
    waitlisted = fields.List(fields.Integer(), metadata={"description": "Who is in line; only where `waitlist` was asked for."})


class StudentResult(StrictSchema):
    """What a request changed for a student, in the order of its ids; each is in one list."""

    student_id = fields.Integer(required=True)
    added = fields.List(fields.Integer(), required=True)
    kept = fields.List(fields.Integer(), required=True)
    removed = fields.List(fields.Integer(), required=True)
    waitlisted = fields.List(
        fields.Integer(), metadata={"description": "Where it is in line; only where `waitlist` was asked for."}
    )


class DropResult(StrictSchema):
    """Whom a request dropped from a course, in the order of its ids."""

    course_id = fields.Integer(required=True)
    removed = fields.List(fields.Integer(), required=True)


_Moves = StrictSchema.from_dict({"from": fields.String(allow_none=True, validate=_one_state)})


class EventOut(_Moves):  # type: ignore[misc,valid-type]  # `from` is a keyword: no class body can say it
    """One move: from one state (null: none) to another (null: none), and why."""

    id = fields.Integer()
    at = fields.DateTime()
    student_id = fields.Integer()
    course_id = fields.Integer()
    to = fields.String(allow_none=True, validate=_one_state)
    why = fields.String(metadata={"description": "requested, promoted, dropped, student-deleted, migrated, loaded …"})
    request_id = fields.String(allow_none=True, metadata={"description": "The request that made the move."})
    actor = fields.String(
        allow_none=True,
        metadata={
            "description": "Who sent that request: `key:` and a name, or `oidc:` and a subject; null where nobody had to say."
        },
    )


class CourseTaken(CourseOut, Standing):
    """A course that a student takes or waits for."""


class StudentEnrolled(StudentOut, Standing):
    """A student on a course's roster."""
