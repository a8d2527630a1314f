"""The services without HTTP."""

from __future__ import annotations

import pytest

from course_management.courses import service as courses
from course_management.courses.models import CourseNotFound
from course_management.db.transaction import transaction
from course_management.enrollments import course_changes, queries, service
from course_management.enrollments.models import CourseHasStudents, EnrollmentNotFound
from course_management.enrollments.requests import EnrollmentRequest
from course_management.students import service as students
from course_management.students.models import StudentNotFound


@pytest.fixture
def open_session(app):
    with app.app_context(), transaction(writing=True) as session:
        yield session


def test_enroll_drop_and_delete_with_the_services(open_session):
    session = open_session
    algebra = courses.create_course(session, name="Algebra", level="junior")
    logic = courses.create_course(session, name="Logic", level="senior")
    ada = students.create_student(session, name="Ada", email="ada@x.edu")
    both = [algebra.id, logic.id]
    assert service.enroll(session, ada.id, EnrollmentRequest(both)).added == both
    assert [c.name for c in ada.courses] == ["Algebra", "Logic"]
    assert courses.lock_course(session, algebra.id) is algebra
    assert courses.lock_course(session, "ALGEBRA") is algebra
    assert [
        item["name"] for item in queries.list_courses_of(session, ada.id, sort="-name").items
    ] == ["Logic", "Algebra"]
    with pytest.raises(CourseHasStudents):
        course_changes.delete_course(session, logic, [])
    assert service.replace_courses(session, ada.id, EnrollmentRequest([algebra.id])).removed == [
        logic.id
    ]
    course_changes.delete_course(session, logic, [])
    service.delete_student(session, ada)
    assert queries.list_students_of(session, algebra.id).items == []


def test_missing_rows_raise_errors(open_session):
    session = open_session
    ada = students.create_student(session, name="Ada")
    algebra = courses.create_course(session, name="Algebra", level="junior")
    with pytest.raises(StudentNotFound):
        service.enroll(session, 0, EnrollmentRequest([algebra.id]))
    with pytest.raises(CourseNotFound) as caught:
        service.enroll(session, ada.id, EnrollmentRequest([algebra.id, 77]))
    assert caught.value.fields == {"missing": [77]}
    with pytest.raises(EnrollmentNotFound):
        queries.get_enrollment(session, ada.id, algebra.id)
    with pytest.raises(CourseNotFound):
        courses.lock_course(session, "Nothing")


def test_the_courses_of_a_student_are_read_only(open_session):
    session = open_session
    ada = students.create_student(session, name="Ada")
    assert ada.courses == []
    ada.courses.append(courses.create_course(session, name="Algebra", level="x"))
    session.flush()
    assert queries.list_courses_of(session, ada.id).items == []
