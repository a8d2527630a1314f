"""The table of enrollments, and what its constraints mean."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.errors import Conflict, NotFound
from course_management.extensions import Model, UTCDateTime, now


class EnrollmentNotFound(NotFound):
    """The student exists and so does the course, but the one does not take the other; `missing` lists such students."""

    code = "enrollment-not-found"
    title = "The student does not take this course."
    remedy = "See what the student takes with GET /students/{id}/courses; enroll with POST /students/{id}/courses."


class CourseHasStudents(Conflict):
    """A course that somebody takes is not deleted: no enrollment disappears unasked."""

    code = "course-has-students"
    title = "Students take this course."
    remedy = "Empty it first: read GET /courses/{id}/students and send their ids to POST /courses/{id}/drop."


class StudentCourse(Model):
    """One student takes one course."""

    __tablename__ = "student_courses"
    __table_args__ = (
        sa.ForeignKeyConstraint(["student_id"], ["students.id"]),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], info={"error": CourseHasStudents}),
        sa.Index(None, "course_id", "student_id"),
    )

    student_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    course_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    enrolled_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    @property
    def etag(self) -> str:
        return f"{self.enrolled_at.timestamp():.6f}".replace(".", "")
