"""A request waits while another one acts on the same course or student. Its response has what is
true afterwards (PostgreSQL).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments import service as enrollments
from course_management.enrollments.requests import EnrollmentRequest, RulesContext
from course_management.registrar import service as registrar
from devtools.waiting import eventually
from tests.conftest import Make
from tests.databases import audit, connect, waiting_for_locks


@pytest.fixture
def school(postgres_app):
    """The app; `school.course(capacity, students)` makes a course with students."""
    school = School(postgres_app)
    yield school
    audit(postgres_app)


class School:
    def __init__(self, app):
        self.app, self.client = app, app.test_client()
        self.make = Make(self.client)
        self.students = [self.make.student()["id"] for _ in range(4)]

    def course(self, capacity, students):
        course = self.make.course(capacity=capacity, waitlist_capacity=5)["id"]
        if students:
            self.enroll(course, students)
        return course

    def enroll(self, course, students):
        body = {"student_ids": students, "waitlist": True}
        assert self.client.post(f"/courses/{course}/students", json=body).status_code == 201

    def roster(self, course):
        return [one["id"] for one in self.client.get(f"/courses/{course}/students").json]

    def send(self, method, path, body):
        return self.app.test_client().open(path, method=method, json=body)

    @contextmanager
    def waiting(self, pool, *request):
        """A request that waits for a lock during the block."""
        asking = pool.submit(self.send, *request)
        eventually(lambda: waiting_for_locks(self.app), 1)
        yield asking

    def during(self, act, *request):
        """The response of a request that waits until the transaction of `act` has ended."""
        with ThreadPoolExecutor() as pool, self.app.app_context():
            with transaction(writing=True) as session:
                act(session)
                session.execute(sa.text("SELECT 1"))  # sends what waits for the commit
                with self.waiting(pool, *request) as asking:
                    pass
            return asking.result()


def cancelling(course):
    return lambda session: registrar.cancel(session, course, None, RulesContext(), begun=False)


@pytest.mark.parametrize("capacity", [1, 9, None])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/students/{student}/enroll", {"course_ids": ["{course}"]}),
        ("PUT", "/students/{student}/enroll", {"course_ids": ["{course}"]}),
        ("POST", "/courses/{course}/students", {"student_ids": ["{student}"]}),
        ("POST", "/students/{student}/courses", {"course_id": "{course}"}),
        ("POST", "/students/{student}/changes", {"add": [{"course_id": "{course}"}]}),
    ],
)
def test_nobody_is_kept_in_a_course_that_was_cancelled_meanwhile(
    school, capacity, method, path, body
):
    """Fails if the states are not read again after the lock: the student is then told `kept`, or
    that they wait.
    """
    first, student = school.students[:2]
    course = school.course(capacity, [first, student])
    ids = {"{course}": course, "{student}": student}

    def filled(value):
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, dict):
            more = {} if "add" in value else {"waitlist": True}
            return {name: filled(item) for name, item in value.items()} | more
        return ids.get(value, value)

    answer = school.during(
        cancelling(course), method, path.format(course=course, student=student), filled(body)
    )
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/course-cancelled")
    assert school.roster(course) == []


@pytest.mark.parametrize("capacity", [1, 9, None])
def test_a_swap_drops_nothing_of_a_course_that_was_cancelled_meanwhile(school, capacity):
    first, student = school.students[:2]
    course = school.course(capacity, [first, student])
    path, body = f"/students/{student}/changes", {"drop": [course]}
    answer = school.during(cancelling(course), "POST", path, body)
    assert (answer.status_code, answer.json["missing"]) == (404, [course])


@pytest.mark.parametrize("capacity", [1, 9, None])
def test_a_put_removes_nothing_of_a_course_that_was_cancelled_meanwhile(school, capacity):
    """Fails if `removed` lists the courses that were read before the lock."""
    first, student = school.students[:2]
    course = school.course(capacity, [first, student])
    path, body = f"/students/{student}/enroll", {"course_ids": []}
    answer = school.during(cancelling(course), "PUT", path, body)
    assert (answer.status_code, answer.json["removed"]) == (200, [])


@pytest.mark.parametrize("capacity", [1, 9, None])
@pytest.mark.parametrize("act", ["move", "reinstate"])
def test_an_act_waits_for_a_cancellation(school, capacity, act):
    """Nobody moves out of a cancelled course, and nobody is kept in it. Fails if the states are not
    read again after the lock.
    """
    first, student = school.students[:2]
    course, other = school.course(capacity, [first, student]), school.course(9, [])
    body = {"student_ids": [student]} | ({"to": other} if act == "move" else {})
    answer = school.during(cancelling(course), "POST", f"/courses/{course}/{act}", body)
    told = (answer.status_code, answer.json.get("missing") or answer.json.get("student_ids"))
    assert told == (404 if act == "move" else 409, [student])
    assert (school.roster(course), school.roster(other)) == ([], [])


@pytest.mark.parametrize("capacity", [9, None])
def test_a_cancellation_waits_for_enrollments_before_it(school, capacity):
    """Fails if a cancellation does not lock the course: the student is then in a cancelled course,
    or the counts are wrong.
    """
    first, student = school.students[:2]
    course = school.course(capacity, [first])

    def enroll(session):
        enrollments.enroll(session, student, EnrollmentRequest([course]))

    answer = school.during(enroll, "POST", f"/courses/{course}/cancel", {})
    assert (answer.status_code, answer.json["removed"]) == (200, [first, student])
    assert school.roster(course) == []


@pytest.mark.parametrize("act", ["move", "move all", "reinstate"])
def test_an_act_waits_for_its_students(school, act):
    """The student is deleted meanwhile. Fails if an act does not lock its students: it does not
    wait, or gets 500 from a foreign key.
    """
    student, other = school.students[:2]
    course, target = school.course(9, [student, other]), school.course(9, [])
    path, body = f"/courses/{course}/{act.split()[0]}", {"student_ids": [student]}
    if act == "reinstate":
        school.client.delete(f"/students/{student}/courses/{course}")
    else:
        body = {"to": target} | ({"all": True} if "all" in act else body)

    def delete(session):
        enrollments.lock_students(session, [student])
        enrollments.delete_student(session, session.get(enrollments.Student, student))

    answer = school.during(delete, "POST", path, body)
    if act == "move all":
        assert (answer.status_code, answer.json["added"]) == (200, [other])
    else:
        assert (answer.status_code, answer.json["missing"]) == (404, [student])


@pytest.mark.parametrize("act", ["move", "move all", "reinstate"])
def test_an_act_holds_its_students(school, act):
    """A locked student lets the act wait, although the course is free. Fails if an act does not
    lock its students.
    """
    student, other = school.students[:2]
    course, target = school.course(9, [student, other]), school.course(9, [])
    path, body = f"/courses/{course}/{act.split()[0]}", {"student_ids": [student]}
    if act == "reinstate":
        school.client.delete(f"/students/{student}/courses/{course}")
    else:
        body = {"to": target} | ({"all": True} if "all" in act else body)
    with closing(connect(school.app)) as another, ThreadPoolExecutor() as pool:
        cursor = another.cursor()
        cursor.execute("SELECT 1 FROM students WHERE id = %s FOR NO KEY UPDATE", [student])
        with school.waiting(pool, "POST", path, body) as asking:
            another.rollback()
        assert (asking.result().status_code, student in asking.result().json["added"]) == (
            200,
            True,
        )


@pytest.mark.parametrize("capacity", [2, None])
def test_who_enrolls_meanwhile_moves_too(school, capacity):
    """Fails if `move` does not read the students again once it has locked them: the one who came
    meanwhile then stays behind.
    """
    first, second, late, later = school.students
    course, target = school.course(capacity, [first, second]), school.course(9, [])
    body = {"to": target, "all": True}
    with closing(connect(school.app)) as another, ThreadPoolExecutor() as pool:
        cursor = another.cursor()
        cursor.execute("SELECT 1 FROM students WHERE id = %s FOR NO KEY UPDATE", [second])
        with school.waiting(pool, "POST", f"/courses/{course}/move", body) as asking:
            school.enroll(course, [late, later])
            another.rollback()
        assert (asking.result().status_code, asking.result().json["added"]) == (
            200,
            [first, second, late, later],
        )
    assert (school.roster(course), school.roster(target)) == ([], school.students)


@pytest.mark.parametrize("capacity", [0, None])
def test_a_course_that_never_rests_is_busy(school, monkeypatch, capacity):
    """Somebody enrolls whenever the students have just been read: after five times nobody moves."""
    course, target = school.course(capacity, school.students), school.course(9, [])
    read, late = registrar.lock, []

    def lock_late(*args, **kwargs):
        late.append(school.make.student()["id"])
        school.enroll(course, late[-1:])
        return read(*args, **kwargs)

    school.client.patch(f"/courses/{course}", json={"waitlist_capacity": None})
    monkeypatch.setattr(registrar, "lock", lock_late)
    body = {"to": target, "all": True, "extend": True}
    answer = school.send("POST", f"/courses/{course}/move", body)
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/course-busy")
    assert len(late) == 5
    assert (school.roster(target), set(school.roster(course))) == ([], {*school.students, *late})
