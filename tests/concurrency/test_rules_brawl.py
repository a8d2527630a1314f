"""A brawl in a term: students register while facts of every rule change, and a recount that knows
nothing of the rules finds no request that broke one.

The recount finds faults if the rules are judged by the precheck alone (two requests of one student
then see the same courses), or without one of the rules. The races of one fact with one request are
in test_rules_meanwhile.py.
"""

from __future__ import annotations

import http.client
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Lock

import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent, EventType
from devtools.gunicorn import send
from tests.concurrency.recount import History, Recount, Request, Section
from tests.databases import audit

CLIENTS = 8
REQUESTS = 160  # of each client
SLOTS = [
    [],
    [{"days": ["mon", "wed"], "starts": "09:00", "ends": "10:00"}],
    [{"days": ["mon"], "starts": "09:59", "ends": "11:00"}],
    [{"days": ["mon", "tue"], "starts": "10:00", "ends": "11:00"}],
    [{"days": ["tue"], "starts": "09:00", "ends": "10:01"}],
    [{"days": ["fri"], "starts": "09:00", "ends": "12:00"}],
]
RULES = (
    "registration-not-open hold prerequisite-missing corequisite-missing required-by "
    "already-taking time-conflict credits-exceeded"
)


class School:
    """A term with its courses and students. Every client changes its facts."""

    def __init__(self, client, make, term):
        self.term, now = term["code"], datetime.now(UTC)
        opens_at, closes_at = ((now + timedelta(days)).isoformat() for days in (-1, 1))
        self.window = {"group": None, "opens_at": opens_at, "closes_at": closes_at}
        client.put(f"/terms/{self.term}/windows", json={"windows": [self.window]})
        client.patch(f"/terms/{self.term}", json={"max_credits": 12})
        needs = {"all": [{"course": "CS 1"}, {"course": "MATH 1", "concurrent": True}]}
        for code in ("MATH 1", "CS 225", "ART 1", "ART 2", "ART 3", "ART 4"):
            more = {"prerequisites": needs} if code == "CS 225" else {}
            client.post("/catalog", json={"code": code, "title": "x", "credits_min": 3} | more)
        sections = {}
        for i, entry in enumerate("MATH 1,MATH 1,CS 225,CS 225,ART 1,ART 2,ART 3,ART 4".split(",")):
            seats = [{}, {"capacity": 5, "waitlist_capacity": 3}][i % 2]
            of_term = {"term": self.term, "catalog_code": entry, "meetings": SLOTS[i % len(SLOTS)]}
            section = Section(entry, History(SLOTS[i % len(SLOTS)]))
            sections[make.course(**of_term, **seats)["id"]] = section
        self.recount = Recount(sections, 12)
        self.recount.needs_passed, self.recount.needs_beside = {"CS 225"}, {"CS 225": "MATH 1"}
        self.courses, self.students = list(sections), [make.student()["id"] for _ in range(12)]
        self.recount.passed = {student: History(False) for student in self.students}
        self.spare = self.courses[-2:]  # these are cancelled
        self.closing = Lock()


class Client:
    """One client with its own connection. It alone changes some students' completions."""

    def __init__(self, school, number, port):
        self.school, self.number = school, number
        self.rng, self.holds, self.completions = random.Random(number), [], {}
        self.mine = school.students[number::CLIENTS]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.answers = []

    def send(self, method, path, body=None):
        """The answer, and the request if it succeeded."""
        name, began = f"rules-{self.number}-{len(self.answers)}", time.monotonic()
        answer = send(self.connection, method, path, body, {"X-Request-ID": name})
        self.answers.append(answer)
        if answer.status >= 300:
            return answer, None
        request = Request(began, time.monotonic())
        self.school.recount.requests[name] = request
        return answer, request

    def begin(self):
        """One student gets a course with its corequisite."""
        self.complete()
        (student,), (first, _, second, *_) = self.completions, self.school.courses
        self.send("POST", f"/students/{student}/enroll", {"course_ids": [first, second]})

    def run(self, barrier):
        barrier.wait()
        for i in range(REQUESTS):
            if self.number < len(self.school.spare) and i == REQUESTS // 2:
                self.cancel(self.school.spare[self.number])
            elif self.rng.random() < 0.75:
                self.register()
            else:
                self.rng.choice([self.edit, self.limit, self.open, self.hold, self.complete])()
        self.connection.close()

    def register(self):
        """A request of a student, or an act of the registrar that no rule judges."""
        rng, courses = self.rng, self.school.courses
        student, some = rng.choice(self.school.students), rng.sample(courses, rng.randint(1, 3))
        path, body = f"/students/{student}", {"course_ids": some, "waitlist": rng.random() < 0.5}
        roster = {"student_ids": rng.sample(self.school.students, 2)}
        swap = {"add": [{"course_id": some[0]}], "drop": some[1:]}
        requests = [
            ("POST", f"{path}/enroll", body),
            ("POST", f"{path}/enroll", body),
            ("POST", f"{path}/enroll", body | {"course_ids": some[:1]}),
            ("PUT", f"{path}/enroll", body),
            ("POST", f"{path}/changes", swap),
            ("POST", f"/courses/{some[0]}/students", roster),
            ("DELETE", f"{path}/courses/{some[0]}", None),
            ("DELETE", f"{path}/courses/{some[0]}", None),
            ("PATCH", f"/courses/{some[0]}", {"capacity": rng.choice([None, 6, 12])}),
        ]
        other = rng.choice([course for course in courses if course != some[0]])
        acts = [
            ("POST", f"/courses/{some[0]}/move", {"to": other, **roster}),
            ("POST", f"/courses/{some[0]}/reinstate", roster),
        ]
        self.send(*rng.choice(acts if rng.random() < 0.08 else requests))

    def cancel(self, course):
        _, request = self.send("POST", f"/courses/{course}/cancel", {})
        self.school.recount.sections[course].is_open.set(request, False)

    def set(self, history, value, *request):
        _, done = self.send(*request)
        history.set(done, value)

    def edit(self):
        course, meetings = self.rng.choice(self.school.courses), self.rng.choice(SLOTS)
        history = self.school.recount.sections[course].meetings
        self.set(history, meetings, "PATCH", f"/courses/{course}", {"meetings": meetings})

    def limit(self):
        most = self.rng.choice([6, 9, 12])
        path = f"/terms/{self.school.term}"
        self.set(self.school.recount.max_credits, most, "PATCH", path, {"max_credits": most})

    def open(self):
        """Close the term for a few requests, unless another client does."""
        path, history = f"/terms/{self.school.term}/windows", self.school.recount.is_open
        if self.school.closing.acquire(blocking=False):
            self.set(history, False, "PUT", path, {"windows": []})
            for _ in range(3):
                self.register()
            self.set(history, True, "PUT", path, {"windows": [self.school.window]})
            self.school.closing.release()

    def hold(self):
        if self.holds:
            path, history = self.holds.pop()
            self.set(history, False, "POST", f"{path}/release", {"reason": "Paid"})
            return
        student, history = self.rng.choice(self.school.students), History(False)
        path = f"/students/{student}/holds"
        hold = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
        answer, request = self.send("POST", path, hold)
        history.set(request, True)
        self.school.recount.holds[student].append(history)
        self.holds.append((f"{path}/{answer.json['id']}", history))

    def complete(self):
        student = self.rng.choice(self.mine)
        history, path = self.school.recount.passed[student], f"/students/{student}/completions"
        if student in self.completions:
            self.set(history, False, "DELETE", self.completions.pop(student))
            return
        answer, request = self.send("POST", path, {"catalog_code": "CS 1", "kind": "course"})
        history.set(request, True)
        self.completions[student] = f"{path}/{answer.json['id']}"


def events(app, student):
    """What happened to the courses of a student, in its order."""
    moves = sa.select(EnrollmentEvent).where(EnrollmentEvent.type == EventType.ENROLLMENT_CHANGED)
    mine = moves.where(EnrollmentEvent.student_id == student).order_by(EnrollmentEvent.id)
    with app.app_context(), transaction(writing=False) as session:
        return session.scalars(mine).all()


def test_no_rule_is_broken_while_all_facts_change(app, client, make, gunicorn, term):
    school = School(client, make, term)
    clients = [Client(school, number, gunicorn.port) for number in range(CLIENTS)]
    for one in clients:
        one.begin()
    barrier = Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda one: one.run(barrier), clients))
    answers = [answer for one in clients for answer in one.answers]
    failed = [answer.body for answer in answers if answer.status not in {200, 201, 204, 404, 409}]
    assert failed == []
    audit(app)
    for student in school.students:
        held = school.recount.replay(student, events(app, student))
        told = client.get(f"/students/{student}/enroll").json
        assert sorted(held) == sorted([*told["course_ids"], *told["waitlisted"]])
    assert school.recount.faults == []
    refusals = [answer.json for answer in answers if answer.status == 409]
    broken = {one["rule"] for refusal in refusals for one in refusal.get("broken", [])}
    assert broken >= set(RULES.split())
