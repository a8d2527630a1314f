"""Rules and queries of enrollments.

Whoever changes enrollments first locks the students concerned and then the courses, each in the order of their ids: two
requests about one student take turns, and no circle of waiting can form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from course_management.courses import service as courses
from course_management.courses.models import Course, CourseNotFound
from course_management.enrollments.models import CourseHasStudents, EnrollmentNotFound, StudentCourse
from course_management.errors import NotFound
from course_management.extensions import now
from course_management.logs import note
from course_management.paging import Listing, Page
from course_management.students import service as students
from course_management.students.models import Student, StudentNotFound

_table = cast(sa.Table, StudentCourse.__table__)
_enrolled_at: dict[str, sa.ColumnElement[Any]] = {"enrolled_at": _table.c.enrolled_at}

TAKEN = Listing(
    "courses of a student",
    courses.COLUMNS | _enrolled_at,
    _table.join(Course.__table__),
    courses.SORTS | {"id": _table.c.course_id},
    courses.FILTERS | {"student_id": lambda value: _table.c.student_id == value},
)
ROSTER = Listing(
    "students of a course",
    students.COLUMNS | _enrolled_at,
    _table.join(Student.__table__),
    students.SORTS | {"id": _table.c.student_id},
    students.FILTERS | {"course_id": lambda value: _table.c.course_id == value},
)


def enroll(session: Session, student_id: int, course_ids: Sequence[int]) -> dict[str, Any]:
    """Enroll a student in all of `course_ids` or in none. Returns the ids `added` and `kept`, in the order given.

    Raises StudentNotFound, or CourseNotFound with every missing id.
    """
    _lock_students(session, [student_id])
    return _set_courses(session, student_id, course_ids, removed=[])


def replace(session: Session, student_id: int, course_ids: Sequence[int]) -> dict[str, Any]:
    """Make `course_ids` the student's whole set, or change nothing. Returns the ids `added`, `kept` and `removed`.

    Raises StudentNotFound, or CourseNotFound with every missing id.
    """
    _lock_students(session, [student_id])
    had = session.scalars(sa.select(_table.c.course_id).where(_table.c.student_id == student_id).order_by(_table.c.course_id))
    removed = [course_id for course_id in had if course_id not in set(course_ids)]
    if removed:
        _delete(session, _table.c.student_id == student_id, _table.c.course_id.in_(removed))
        note(session, "student dropped", student_id=student_id, course_ids=removed)
    return _set_courses(session, student_id, course_ids, removed=removed)


def enroll_many(session: Session, course: int | str, student_ids: Sequence[int]) -> dict[str, Any]:
    """Enroll all of `student_ids` in a course or none. Returns the ids `added` and `kept`, in the order given.

    Raises CourseNotFound, or StudentNotFound with every missing id.
    """
    course_id = courses.get_course(session, course).id
    _lock_students(session, student_ids, in_body=True)
    _lock_courses(session, [course_id])
    added = _insert(session, _table.c.student_id, sa.select(Student.id, sa.literal(course_id)), Student.id, student_ids)
    if added:
        note(session, "students enrolled", course_id=course_id, student_ids=[i for i in student_ids if i in added])
    return {"course_id": course_id, **_split(student_ids, added)}


def drop_many(session: Session, course: int | str, student_ids: Sequence[int]) -> dict[str, Any]:
    """Drop all of `student_ids` from a course or none. Returns the ids `removed`, in the order given.

    Raises CourseNotFound, StudentNotFound or EnrollmentNotFound, the latter two with every missing id.
    """
    course_id = courses.get_course(session, course).id
    _lock_students(session, student_ids, in_body=True)
    removed = _delete(session, _table.c.course_id == course_id, _table.c.student_id.in_(student_ids))
    _require_all(
        student_ids, {row.student_id for row in removed}, EnrollmentNotFound, "Some of the students do not take the course."
    )
    note(session, "students dropped", course_id=course_id, student_ids=list(student_ids))
    return {"course_id": course_id, "removed": list(student_ids)}


def drop(session: Session, student_id: int, course_id: int) -> None:
    """End one enrollment. Raises EnrollmentNotFound, StudentNotFound or CourseNotFound."""
    _delete(session, _table.c.student_id == student_id, _table.c.course_id == course_id)
    note(session, "student dropped", student_id=student_id, course_ids=[course_id])


def get_enrollment(session: Session, student_id: int, course_id: int, *, for_update: bool = False) -> StudentCourse:
    """The one enrollment. Raises EnrollmentNotFound, StudentNotFound or CourseNotFound."""
    if for_update:
        _lock_students(session, [student_id])
    enrollment = session.get(StudentCourse, (student_id, course_id))
    if enrollment is None:
        students.get_student(session, student_id)
        courses.get_course_by_id(session, course_id)
        raise EnrollmentNotFound
    return enrollment


def list_courses_of(session: Session, student_id: int, **query: Any) -> Page:
    """A page of the courses a student takes. Raises StudentNotFound."""
    page = TAKEN.page(session, **courses.folded(query), student_id=student_id)
    if not page.items:  # asked last: a list with something in it has proved that its student exists
        students.get_student(session, student_id)
    return page


def list_students_of(session: Session, course: int | str, **query: Any) -> Page:
    """A page of the students who take a course. Raises CourseNotFound."""
    course_id = course if isinstance(course, int) else courses.get_course_by_name(session, course).id
    page = ROSTER.page(session, **students.folded(query), course_id=course_id)
    if not page.items:
        courses.get_course_by_id(session, course_id)
    return page


def delete_student(session: Session, student: Student) -> None:
    """Remove a student, locked by the caller, and end its enrollments."""
    ended = _delete(session, _table.c.student_id == student.id)
    session.delete(student)
    session.flush()
    if ended:
        note(session, "student dropped", student_id=student.id, course_ids=sorted(row.course_id for row in ended))
    note(session, "student deleted", student_id=student.id)


def delete_course(session: Session, course: Course) -> None:
    """Remove a course, locked by the caller. Raises CourseHasStudents where somebody takes it."""
    if session.scalar(sa.select(_table.c.student_id).where(_table.c.course_id == course.id).limit(1)):
        raise CourseHasStudents
    session.delete(course)
    session.flush()
    note(session, "course deleted", course_id=course.id)


def _set_courses(session: Session, student_id: int, course_ids: Sequence[int], removed: list[int]) -> dict[str, Any]:
    _lock_courses(session, course_ids)
    added = _insert(session, _table.c.course_id, sa.select(sa.literal(student_id), Course.id), Course.id, course_ids)
    if added:
        note(session, "student enrolled", student_id=student_id, course_ids=[i for i in course_ids if i in added])
    return {"student_id": student_id, **_split(course_ids, added), "removed": removed}


def _insert(session: Session, key: sa.ColumnElement[int], pairs: Any, source: Any, ids: Sequence[int]) -> set[int]:
    """Insert the pairs whose `source` is among `ids`; the ids of those that were not there yet."""
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[session.get_bind().dialect.name]
    wanted = pairs.add_columns(sa.literal(now(), _table.c.enrolled_at.type)).where(source.in_(ids)).order_by(source)
    statement = insert(_table).from_select(list(_table.c), wanted).on_conflict_do_nothing()
    return set(session.scalars(statement.returning(key)))


def _delete(session: Session, *which: sa.ColumnElement[bool]) -> Sequence[Any]:
    return session.execute(sa.delete(_table).where(*which).returning(_table.c.student_id, _table.c.course_id)).all()


def _lock_students(session: Session, ids: Sequence[int], *, in_body: bool = False) -> None:
    """Lock the students against other changes of their enrollments. Raises StudentNotFound."""
    found = session.scalars(sa.select(Student.id).where(Student.id.in_(ids)).order_by(Student.id).with_for_update(key_share=True))
    if in_body:
        _require_all(ids, set(found), StudentNotFound, "Some of the students do not exist.")
    elif not found.all():
        raise StudentNotFound


def _lock_courses(session: Session, ids: Sequence[int]) -> None:
    """Lock the courses against deletion, beside others who enroll. Raises CourseNotFound with every missing id."""
    found = session.scalars(
        sa.select(Course.id).where(Course.id.in_(ids)).order_by(Course.id).with_for_update(read=True, key_share=True)
    )
    _require_all(ids, set(found), CourseNotFound, "Some of the courses do not exist.")


def _require_all(ids: Iterable[int], found: set[int], error: type[NotFound], detail: str) -> None:
    missing = [i for i in ids if i not in found]
    if missing:
        raise error(detail, missing=missing)


def _split(ids: Iterable[int], added: set[int]) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {"added": [], "kept": []}
    for i in ids:
        parts["added" if i in added else "kept"].append(i)
    return parts
