"""Compares a plain model of the rules with the service, step by step, on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import Make, empty

STUDENTS, COURSES = 5, 3
students = st.integers(0, STUDENTS - 1)
courses = st.integers(0, COURSES - 1)
limits = st.sampled_from([None, 0, 1, 2, 3])


@dataclass
class Course:
    """A short model of the rules: a set of students with seats, and a list of waiting students."""

    capacity: int | None
    waitlist_capacity: int | None
    seats: set[int] = field(default_factory=set)
    waitlist: list[int] = field(default_factory=list)

    def verdict(self, student, waitlist):
        if student in self.seats:
            return "kept"
        if student not in self.waitlist and (
            self.capacity is None or len(self.seats) < self.capacity
        ):
            return "added"
        if not waitlist:
            return "course-full"
        if student in self.waitlist:
            return "waitlisted"
        return (
            "joined"
            if self.waitlist_capacity is None or len(self.waitlist) < self.waitlist_capacity
            else "waitlist-full"
        )

    def put(self, student, verdict):
        if verdict == "added":
            self.seats.add(student)
        elif verdict == "joined":
            self.waitlist.append(student)

    def leave(self, student):
        self.seats.discard(student)
        if student in self.waitlist:
            self.waitlist.remove(student)
        self.promote()

    def promote(self):
        while self.waitlist and (self.capacity is None or len(self.seats) < self.capacity):
            self.seats.add(self.waitlist.pop(0))


class Enrollments(RuleBasedStateMachine):
    """All operations on a few students and courses."""

    app = None

    @initialize(shapes=st.lists(st.tuples(limits, limits), min_size=COURSES, max_size=COURSES))
    def begin(self, shapes):
        empty(self.app)
        self.client = self.app.test_client()
        make = Make(self.client)
        self.ids = [make.student()["id"] for _ in range(STUDENTS)]
        self.courses = [Course(*shape) for shape in shapes]
        made = [
            make.course(capacity=c.capacity, waitlist_capacity=c.waitlist_capacity)
            for c in self.courses
        ]
        self.course_ids = [course["id"] for course in made]

    def refusal(self, verdicts, answer):
        """Whether a verdict is a refusal. Then the response must name every such course."""
        for code in ("course-full", "waitlist-full"):
            refused = [
                self.course_ids[c] for (_, c), verdict in verdicts.items() if verdict == code
            ]
            if refused:
                assert (answer.status_code, answer.json["type"]) == (409, f"/problems/{code}")
                assert [course["id"] for course in answer.json["courses"]] == list(
                    dict.fromkeys(refused)
                )
                return True
        return False

    def apply(self, verdicts, answer, of, *, waitlist, fresh_is=201):
        for (s, c), verdict in verdicts.items():
            self.courses[c].put(s, verdict)
        ids = (self.ids, self.course_ids)[of]
        told = {
            kind: [ids[pair[of]] for pair, v in verdicts.items() if v == kind]
            for kind in ("added", "kept")
        }
        assert {kind: answer.json[kind] for kind in told} == told
        if waitlist:
            assert answer.json["waitlisted"] == [
                ids[p[of]] for p, v in verdicts.items() if v in ("joined", "waitlisted")
            ]
        fresh = {"added", "joined"} & set(verdicts.values())
        assert answer.status_code == (fresh_is if fresh else 200)

    @rule(
        s=students,
        cs=st.lists(courses, min_size=1, max_size=COURSES, unique=True),
        waitlist=st.booleans(),
    )
    def enroll(self, s, cs, waitlist):
        verdicts = {(s, c): self.courses[c].verdict(s, waitlist) for c in cs}
        body = {"course_ids": [self.course_ids[c] for c in cs], "waitlist": waitlist}
        answer = self.client.post(f"/students/{self.ids[s]}/enroll", json=body)
        if not self.refusal(verdicts, answer):
            self.apply(verdicts, answer, 1, waitlist=waitlist)

    @rule(s=students, cs=st.lists(courses, max_size=COURSES, unique=True), waitlist=st.booleans())
    def replace(self, s, cs, waitlist):
        verdicts = {(s, c): self.courses[c].verdict(s, waitlist) for c in cs}
        body = {"course_ids": [self.course_ids[c] for c in cs], "waitlist": waitlist}
        answer = self.client.put(f"/students/{self.ids[s]}/enroll", json=body)
        if not self.refusal(verdicts, answer):
            gone = [
                c
                for c in range(COURSES)
                if c not in cs and s in {*self.courses[c].seats, *self.courses[c].waitlist}
            ]
            for c in gone:
                self.courses[c].leave(s)
            assert answer.json["removed"] == [self.course_ids[c] for c in gone]
            self.apply(verdicts, answer, 1, waitlist=waitlist, fresh_is=200)

    @rule(c=courses, ss=st.lists(students, min_size=1, unique=True), waitlist=st.booleans())
    def enroll_many(self, c, ss, waitlist):
        trial = Course(
            self.courses[c].capacity,
            self.courses[c].waitlist_capacity,
            set(self.courses[c].seats),
            list(self.courses[c].waitlist),
        )
        verdicts = {}
        for s in ss:
            verdicts[(s, c)] = trial.verdict(s, waitlist)
            trial.put(s, verdicts[(s, c)])
        body = {"student_ids": [self.ids[s] for s in ss], "waitlist": waitlist}
        answer = self.client.post(f"/courses/{self.course_ids[c]}/students", json=body)
        if not self.refusal(verdicts, answer):
            self.apply(verdicts, answer, 0, waitlist=waitlist)

    @rule(s=students, c=courses)
    def drop(self, s, c):
        there = s in self.courses[c].seats or s in self.courses[c].waitlist
        answer = self.client.delete(f"/students/{self.ids[s]}/courses/{self.course_ids[c]}")
        assert answer.status_code == (204 if there else 404)
        self.courses[c].leave(s)

    @rule(c=courses, ss=st.lists(students, min_size=1, unique=True))
    def drop_many(self, c, ss):
        there = {*self.courses[c].seats, *self.courses[c].waitlist}
        answer = self.client.post(
            f"/courses/{self.course_ids[c]}/drop", json={"student_ids": [self.ids[s] for s in ss]}
        )
        if set(ss) <= there:
            assert answer.status_code == 200
            before, course = set(ss), self.courses[c]
            course.seats -= before
            course.waitlist = [s for s in course.waitlist if s not in before]
            course.promote()
        else:
            assert answer.json["missing"] == [self.ids[s] for s in ss if s not in there]

    @rule(
        c=courses,
        capacity=limits,
        waitlist_capacity=limits,
        which=st.sampled_from(["capacity", "waitlist_capacity", "both"]),
    )
    def resize(self, c, capacity, waitlist_capacity, which):
        course = self.courses[c]
        wanted_capacity = course.capacity if which == "waitlist_capacity" else capacity
        wanted_waitlist_capacity = (
            course.waitlist_capacity if which == "capacity" else waitlist_capacity
        )
        body = {"capacity": wanted_capacity} | (
            {} if which == "capacity" else {"waitlist_capacity": wanted_waitlist_capacity}
        )
        answer = self.client.patch(f"/courses/{self.course_ids[c]}", json=body)
        if wanted_capacity is not None and len(course.seats) > wanted_capacity:
            assert answer.json["type"] == "/problems/capacity-below-enrolled"
            return
        room = (
            len(course.waitlist)
            if wanted_capacity is None
            else min(len(course.waitlist), wanted_capacity - len(course.seats))
        )
        if (
            wanted_waitlist_capacity is not None
            and len(course.waitlist) - room > wanted_waitlist_capacity
        ):
            assert answer.json["type"] == "/problems/waitlist-capacity-below-waitlisted"
            return
        assert answer.status_code == 200, answer.text
        course.capacity, course.waitlist_capacity = wanted_capacity, wanted_waitlist_capacity
        course.promote()

    @rule(s=students)
    def student_leaves_and_another_comes(self, s):
        assert self.client.delete(f"/students/{self.ids[s]}").status_code == 204
        for course in self.courses:
            course.leave(s)
        self.ids[s] = self.client.post("/students", json={"name": "Another"}).json["id"]

    @invariant()
    def they_agree(self):
        for course, course_id in zip(self.courses, self.course_ids, strict=True):
            shown = self.client.get(f"/courses/{course_id}").json
            seats_taken = None if course.capacity is None else len(course.seats)
            assert (shown["capacity"], shown["seats_taken"]) == (course.capacity, seats_taken)
            assert (shown["waitlist_capacity"], shown["waitlisted"]) == (
                course.waitlist_capacity,
                len(course.waitlist),
            )
            roster = self.client.get(f"/courses/{course_id}/students").json
            assert {s["id"] for s in roster if s["state"] == "enrolled"} == {
                self.ids[s] for s in course.seats
            }
            positions = {s["position"]: s["id"] for s in roster if s["state"] == "waitlisted"}
            assert positions == {
                position: self.ids[s] for position, s in enumerate(course.waitlist, 1)
            }

    def teardown(self):
        if hasattr(self, "client"):
            result = self.app.test_cli_runner().invoke(args=["audit"])
            assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("app")
def test_the_service_agrees_with_the_rules(migrated):
    machine = type("Machine", (Enrollments,), {"app": migrated})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
