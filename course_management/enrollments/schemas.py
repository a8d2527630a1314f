"""What comes in and goes out of enrollments."""

from __future__ import annotations

from marshmallow import fields

from course_management.courses.schemas import CourseOut
from course_management.students.schemas import StudentOut
from course_management.web.fields import Id, Ids, StrictSchema


class CourseIds(StrictSchema):
    """The courses to enroll in."""

    course_ids = Ids(1, 100, required=True, metadata={"example": [1, 2]})


class CourseSet(StrictSchema):
    """The courses that become the student's whole set."""

    course_ids = Ids(0, 100, required=True, metadata={"example": [2, 3]})


class OneCourse(StrictSchema):
    """The course to enroll in."""

    course_id = Id(required=True, metadata={"example": 1})


class StudentIds(StrictSchema):
    """The students to enroll or to drop."""

    student_ids = Ids(1, 1000, required=True, metadata={"example": [1, 2]})


class EnrollmentOut(StrictSchema):
    """One student takes one course."""

    student_id = fields.Integer()
    course_id = fields.Integer()
    enrolled_at = fields.DateTime()


class StudentResult(StrictSchema):
    """What a request changed for a student, in the order of its ids."""

    student_id = fields.Integer()
    added = fields.List(fields.Integer())
    kept = fields.List(fields.Integer())
    removed = fields.List(fields.Integer())


class CourseResult(StrictSchema):
    """What a request changed for a course, in the order of its ids."""

    course_id = fields.Integer()
    added = fields.List(fields.Integer())
    kept = fields.List(fields.Integer())


class DropResult(StrictSchema):
    """Whom a request dropped from a course, in the order of its ids."""

    course_id = fields.Integer()
    removed = fields.List(fields.Integer())


class CourseTaken(CourseOut):
    """A course that a student takes."""

    enrolled_at = fields.DateTime()


class StudentEnrolled(StudentOut):
    """A student on a course's roster."""

    enrolled_at = fields.DateTime()
