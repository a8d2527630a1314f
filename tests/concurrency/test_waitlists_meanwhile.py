"""Facts change while places on waitlists are promoted, cleared and judged again.

Each test fails without the lock or the row that it is about: a promotion that looks at places
without the lock of the course, a recheck that does not lock it, an edit that queues nothing, a tick
that deletes rows that it has not read.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from course_management.courses.service import lock_course
from course_management.db.transaction import transaction
from course_management.enrollments import service
from course_management.enrollments.rechecks import recheck
from course_management.enrollments.requests import RuledRequest, RulesContext
from course_management.ops import tick as ops_tick
from course_management.records.holds.service import create_hold
from course_management.students.service import lock_student
from devtools.waiting import eventually
from tests.concurrency.test_rules_meanwhile import at_once
from tests.conftest import Make
from tests.databases import audit, waiting_for_locks

ROUNDS = 15
MONDAY = {"days": ["mon"], "starts": "09:00", "ends": "10:00"}
HOLD = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}


class School:
    """A term whose registration is open, and courses with one seat."""

    def __init__(self, app):
        self.app, self.client = app, app.test_client()
        self.make, self.numbers = Make(self.client), count()
        self.term = self.make.term()["code"]
        window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
        self.client.put(f"/terms/{self.term}/windows", json={"windows": [window]})

    def course(self, students=(), **fields):
        of_term = {"term": self.term, "capacity": 1, "waitlist_capacity": None}
        one = self.make.course(**of_term | fields)["id"]
        for student in students:
            body = {"course_id": one, "waitlist": True}
            assert self.client.post(f"/students/{student}/courses", json=body).status_code == 201
        return one

    def students(self, number):
        return [self.make.student()["id"] for _ in range(number)]

    def state(self, student, one):
        found = self.client.get(f"/students/{student}/courses/{one}").json
        return "blocked" if found.get("blocked") else found.get("state")

    def tick(self):
        with self.app.app_context():
            return ops_tick.run()


@pytest.fixture
def school(app):
    school = School(app)
    yield school
    audit(app)


def dropping(student, one):
    return "DELETE", f"/students/{student}/courses/{one}", None


def test_a_hold_while_a_seat_is_freed(app, school):
    for _ in range(ROUNDS):
        seated, first, second = school.students(3)
        one = school.course([seated, first, second])
        hold = ("POST", f"/students/{first}/holds", HOLD)
        assert at_once(app, hold, dropping(seated, one)) == [201, 204]
        found = school.state(first, one), school.state(second, one)
        assert found in (("enrolled", "waitlisted"), ("blocked", "enrolled"))


def test_a_promotion_waits_for_a_hold_and_passes_over_the_place(postgres_app):
    """Without the lock of the course, the drop promotes the student although the hold is committed
    first.
    """
    school = School(postgres_app)
    seated, first, second = school.students(3)
    one = school.course([seated, first, second])
    method, path, _ = dropping(seated, one)
    with ThreadPoolExecutor() as pool, postgres_app.app_context():
        with transaction(writing=True) as session:
            create_hold(session, first, HOLD)
            recheck(session, first, RulesContext())
            asking = pool.submit(postgres_app.test_client().open, path, method=method)
            eventually(lambda: waiting_for_locks(postgres_app), 1)
        assert asking.result().status_code == 204
    assert (school.state(first, one), school.state(second, one)) == ("blocked", "enrolled")
    audit(postgres_app)


def test_a_hold_waits_for_a_promotion_and_leaves_the_seat(postgres_app):
    school = School(postgres_app)
    seated, first = school.students(2)
    one = school.course([seated, first])
    with ThreadPoolExecutor() as pool, postgres_app.app_context():
        with transaction(writing=True) as session:
            # Another request holds the lock of the course and promotes.

            lock_student(session, seated)
            service.drop(session, seated, one, RuledRequest())
            client = postgres_app.test_client()
            asking = pool.submit(client.post, f"/students/{first}/holds", json=HOLD)
            eventually(lambda: waiting_for_locks(postgres_app), 1)
        assert asking.result().status_code == 201
    assert school.state(first, one) == "enrolled"
    audit(postgres_app)


def test_a_meeting_is_edited_while_a_place_is_promoted(app, school):
    for _ in range(ROUNDS):
        seated, *waiting = school.students(4)
        one = school.course([seated, *waiting], meetings=[MONDAY])
        other = school.course(waiting, capacity=9)
        edit = ("PATCH", f"/courses/{other}", {"meetings": [MONDAY]})
        with ThreadPoolExecutor() as pool:
            ticking = pool.submit(school.tick)
            assert at_once(app, edit, dropping(seated, one)) == [200, 204]
            ticking.result()
        school.tick()
        found = [school.state(student, one) for student in waiting]
        assert found in (["enrolled", "blocked", "blocked"], ["blocked"] * 3)


def test_a_place_is_cleared_while_somebody_asks_for_the_seat(app, school):
    for _ in range(ROUNDS):
        seated, first, new = school.students(3)
        one = school.course([seated, first])
        hold = school.client.post(f"/students/{first}/holds", json=HOLD).json["id"]
        school.client.open(dropping(seated, one)[1], method="DELETE")
        release = ("POST", f"/students/{first}/holds/{hold}/release", {})
        ask = ("POST", f"/students/{new}/courses", {"course_id": one})
        found = at_once(app, release, ask), school.state(first, one), school.state(new, one)
        assert found in (([200, 201], "waitlisted", "enrolled"), ([200, 409], "enrolled", None))


def test_an_edit_while_tick_judges_is_not_lost(postgres_app, monkeypatch):
    """The edit is committed after tick has read the facts, and before it deletes its rows."""
    school = School(postgres_app)
    seated, first = school.students(2)
    one = school.course([seated, first], meetings=[MONDAY])
    other = school.course([first], capacity=9)
    edits = iter(([], [MONDAY]))

    def edit():
        if (meetings := next(edits, None)) is not None:
            body = {"meetings": meetings or [MONDAY | {"days": ["fri"]}]}
            path = f"/courses/{other}"
            assert postgres_app.test_client().patch(path, json=body).status_code == 200

    def judge_and_edit(*given):
        changed = recheck(*given)
        with ThreadPoolExecutor() as pool:  # another connection
            pool.submit(edit).result()
        return changed

    edit()
    monkeypatch.setattr(ops_tick, "recheck", judge_and_edit)
    assert school.tick()["Students judged again"] == 2
    assert school.state(first, one) == "blocked"


def test_a_course_enters_the_term_while_the_places_of_its_student_are_judged(postgres_app):
    """Fails if the recheck judges places in courses that it has not locked: the hold then ends with
    an error.
    """
    school = School(postgres_app)
    seated, first = school.students(2)
    one, other = school.course([seated, first]), school.course([seated, first], term=None)
    client = postgres_app.test_client()
    with ThreadPoolExecutor() as pool, postgres_app.app_context():
        with transaction(writing=True) as session:
            lock_course(session, one)
            asking = pool.submit(client.post, f"/students/{first}/holds", json=HOLD)
            eventually(lambda: waiting_for_locks(postgres_app), 1)
            edit = school.client.patch(f"/courses/{other}", json={"term": school.term})
            assert edit.status_code == 200, edit.text
        assert asking.result().status_code == 201
    assert school.state(first, one) == "blocked"
    school.tick()
    assert school.state(first, other) == "blocked"
    audit(postgres_app)


def test_tick_beside_requests(app, school):
    """Holds, releases, drops, joins, edits and ticks in a brawl: nothing fails, and the audit finds
    nothing.
    """
    students = school.students(8)
    courses = [school.course(students, capacity=2, meetings=[MONDAY]), school.course(students)]
    other = school.course(capacity=9)

    def act(seed):
        client, dice = app.test_client(), random.Random(seed)
        for _ in range(12):
            student, one = dice.choice(students), dice.choice(courses)
            kind = dice.randrange(6)
            if kind == 0:
                answers = [client.post(f"/students/{student}/holds", json=HOLD)]
            elif kind == 1:
                answers = [
                    client.post(f"/students/{student}/holds/{hold['id']}/release", json={})
                    for hold in client.get(f"/students/{student}/holds?active=true").json
                ]
            elif kind == 2:
                answers = [client.delete(f"/students/{student}/courses/{one}")]
            elif kind == 3:
                body = {"course_id": dice.choice([one, other]), "waitlist": True}
                answers = [client.post(f"/students/{student}/courses", json=body)]
            elif kind == 4:
                body = {"meetings": dice.choice([[], [MONDAY]])}
                answers = [client.patch(f"/courses/{other}", json=body)]
            else:
                answers = []
                school.tick()
            assert [a.status_code for a in answers if a.status_code >= 500] == []

    with ThreadPoolExecutor(3) as pool:  # the pool of connections has four
        list(pool.map(act, range(3)))
    for one in courses:
        shown = school.client.get(f"/courses/{one}").json
        free = shown["capacity"] - shown["seats_taken"]
        assert free == 0 or shown["waitlisted"] == shown["waitlist_blocked"]
