"""Compares a plain model of the rules (rules.py) with the service, step by step, on both
databases.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import count

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
from tests.enrollments.rules import Course, Refused, ask_all

STUDENTS, COURSES = 5, 3
students = st.integers(0, STUDENTS - 1)
courses = st.integers(0, COURSES - 1)
limits = st.sampled_from([None, 0, 1, 2, 3])
some_students = st.lists(students, min_size=1, unique=True)


class Enrollments(RuleBasedStateMachine):
    """All operations on a few students and courses."""

    app = None

    @initialize(
        shapes=st.lists(st.tuples(limits, limits), min_size=COURSES, max_size=COURSES),
        of_terms=st.lists(st.booleans(), min_size=COURSES, max_size=COURSES),
    )
    def begin(self, shapes, of_terms):
        """Some courses belong to a term. Its only rule is that of holds."""
        empty(self.app)
        self.client, self.times = self.app.test_client(), count()
        make = Make(self.client)
        self.ids = [make.student()["id"] for _ in range(STUDENTS)]
        term = make.term()["code"]
        window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
        self.client.put(f"/terms/{term}/windows", json={"windows": [window]})
        self.courses = []
        for (seats, places), has_term in zip(shapes, of_terms, strict=True):
            fields = {"term": term} if has_term else {}
            made = make.course(capacity=seats, waitlist_capacity=places, **fields)
            self.courses.append(Course(made["id"], seats, places, has_term=has_term))
        self.holds = {}  # the address of the hold of a student

    def send(self, method, path, body=None):
        return self.client.open(path, method=method, json=body)

    def agree(self, refused, answer):
        """The response must be this refusal."""
        status = 404 if refused.code.endswith("not-found") else 409
        assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{refused.code}")
        assert {name: answer.json[name] for name in refused.members} == refused.members
        if refused.codes:
            assert [fault["code"] for fault in answer.json["errors"]] == refused.codes

    def judge(self, decide, answer):
        """What the model decides; None if it refuses, as the response then does too."""
        try:
            return decide()
        except Refused as refused:
            self.agree(refused, answer)
            return None

    def compare(self, got, answer, of, *, waitlist):
        """Compare what the model gave with the ids of courses (or of students) that the response
        lists. Returns whether something is new.
        """
        pairs = [(course.id, s, v) for course, result in got for s, v in result.items()]
        ids = {
            kind: [(c, s)[of] for c, s, verdict in pairs if verdict in verdicts]
            for kind, verdicts in {
                "added": ("added",),
                "kept": ("kept",),
                "waitlisted": ("joined", "waitlisted"),
            }.items()
        }
        if not waitlist:
            assert ids.pop("waitlisted") == []
        assert {kind: answer.json[kind] for kind in ids} == ids
        return any(verdict in ("added", "joined") for *_, verdict in pairs)

    def wanted(self, s, cs, waitlist):
        return [(self.courses[c], [self.ids[s]], waitlist) for c in cs]

    def body(self, cs, waitlist):
        return {"course_ids": [self.courses[c].id for c in cs], "waitlist": waitlist}

    @rule(
        s=students,
        cs=st.lists(courses, min_size=1, max_size=COURSES, unique=True),
        waitlist=st.booleans(),
    )
    def enroll(self, s, cs, waitlist):
        answer = self.send("POST", f"/students/{self.ids[s]}/enroll", self.body(cs, waitlist))
        now, wanted = next(self.times), self.wanted(s, cs, waitlist)
        got = self.judge(lambda: ask_all(wanted, now, self.holds), answer)
        if got is not None:
            new = self.compare(got, answer, 0, waitlist=waitlist)
            assert answer.status_code == (201 if new else 200)

    @rule(s=students, cs=st.lists(courses, max_size=COURSES, unique=True), waitlist=st.booleans())
    def replace(self, s, cs, waitlist):
        answer = self.send("PUT", f"/students/{self.ids[s]}/enroll", self.body(cs, waitlist))
        now, wanted = next(self.times), self.wanted(s, cs, waitlist)
        got = self.judge(lambda: ask_all(wanted, now, self.holds), answer)
        if got is not None:
            # Courses of the term stay, unless the request names one of them.
            with_term = any(self.courses[c].has_term for c in cs)
            others = [
                course
                for c, course in enumerate(self.courses)
                if c not in cs and (with_term or not course.has_term)
            ]
            gone = [course for course in others if self.ids[s] in course.students]
            for course in gone:
                course.leave([self.ids[s]], now, by_drop=True)
            assert answer.json["removed"] == [course.id for course in gone]
            self.compare(got, answer, 0, waitlist=waitlist)
            assert answer.status_code == 200

    @rule(
        s=students,
        add=st.dictionaries(courses, st.booleans()),
        drop=st.lists(courses, unique=True),
    )
    def change(self, s, add, drop):
        drop = [c for c in drop if c not in add]
        body = {
            "add": [{"course_id": self.courses[c].id, "waitlist": w} for c, w in add.items()],
            "drop": [self.courses[c].id for c in drop],
        }
        answer = self.send("POST", f"/students/{self.ids[s]}/changes", body)
        if not add and not drop:
            assert answer.status_code == 422
            return
        now, student = next(self.times), self.ids[s]

        def decide():
            missing = [self.courses[c].id for c in drop if student not in self.courses[c].students]
            ask_all_or_fail = [(self.courses[c], [student], w) for c, w in add.items()]
            if missing:
                copies = [(deepcopy(course), *rest) for course, *rest in ask_all_or_fail]
                ask_all(copies, now, self.holds)
                raise Refused("enrollment-not-found", missing=missing)
            return ask_all(ask_all_or_fail, now, self.holds)

        got = self.judge(decide, answer)
        if got is not None:
            for c in drop:
                self.courses[c].leave([student], now, by_drop=True)
            assert (answer.status_code, answer.json["removed"]) == (200, body["drop"])
            self.compare(got, answer, 0, waitlist=any(add.values()))

    @rule(c=courses, ss=some_students, waitlist=st.booleans())
    def enroll_many(self, c, ss, waitlist):
        course, who = self.courses[c], [self.ids[s] for s in ss]
        body = {"student_ids": who, "waitlist": waitlist}
        answer = self.send("POST", f"/courses/{course.id}/students", body)
        now = next(self.times)
        got = self.judge(lambda: ask_all([(course, who, waitlist)], now, self.holds), answer)
        if got is not None:
            new = self.compare(got, answer, 1, waitlist=waitlist)
            assert answer.status_code == (201 if new else 200)

    @rule(s=students, c=courses, by_mistake=st.booleans())
    def drop(self, s, c, by_mistake):
        there = self.ids[s] in self.courses[c].students
        path = f"/students/{self.ids[s]}/courses/{self.courses[c].id}"
        assert self.send("DELETE", path).status_code == (204 if there else 404)
        self.courses[c].leave([self.ids[s]], next(self.times), by_drop=True)
        if by_mistake and there:
            self.reinstate(c, [s])

    @rule(c=courses, ss=some_students)
    def drop_many(self, c, ss):
        course, who = self.courses[c], [self.ids[s] for s in ss]
        answer = self.send("POST", f"/courses/{course.id}/drop", {"student_ids": who})
        missing = [student for student in who if student not in course.students]
        if missing:
            self.agree(Refused("enrollment-not-found", missing=missing), answer)
        else:
            assert answer.json == {"course_id": course.id, "removed": who}
            course.leave(who, next(self.times), by_drop=True)

    @rule(
        c=courses,
        wanted=st.fixed_dictionaries(
            {},
            optional={
                "capacity": limits,
                "waitlist_capacity": limits,
                "status": st.sampled_from(["open", "closed"]),
            },
        ),
    )
    def edit(self, c, wanted):
        """Also opens and closes the course, alone or with other capacities."""
        course = self.courses[c]
        before = {name: getattr(course, name) for name in ("capacity", "waitlist_capacity")}
        after = before | {"status": course.status} | wanted
        answer = self.send("PATCH", f"/courses/{course.id}", wanted)
        now = next(self.times)
        done = self.judge(lambda: (course.resize(**after, now=now), 1), answer)
        assert (answer.status_code == 200) == bool(done)

    @rule(c=courses, status=st.sampled_from(["open", "open", "closed"]))
    def open_or_close(self, c, status):
        answer = self.send("PATCH", f"/courses/{self.courses[c].id}", {"status": status})
        assert (answer.status_code, answer.json["status"]) == (200, status)
        self.courses[c].status = status

    @rule(c=courses)
    def cancel(self, c):
        answer = self.send("POST", f"/courses/{self.courses[c].id}/cancel", {})
        assert (answer.status_code, answer.json) == (200, self.courses[c].cancel())

    @rule(c=courses, to=courses, ss=st.none() | some_students, extend=st.booleans())
    def move(self, c, to, ss, extend):
        course, other = self.courses[c], self.courses[to]
        who = None if ss is None else [self.ids[s] for s in ss]
        body = {"to": other.id, "extend": extend}
        body |= {"all": True} if who is None else {"student_ids": who}
        answer = self.send("POST", f"/courses/{course.id}/move", body)
        if c == to:
            assert answer.status_code == 422
            return
        now = next(self.times)
        moved = self.judge(lambda: course.move(other, who, now, extend=extend), answer)
        if moved is not None:
            assert (answer.status_code, answer.json) == (200, moved)

    @rule(c=courses, ss=some_students)
    def reinstate(self, c, ss):
        course, who = self.courses[c], [self.ids[s] for s in ss]
        answer = self.send("POST", f"/courses/{course.id}/reinstate", {"student_ids": who})
        now = next(self.times)
        back = self.judge(lambda: course.reinstate(who, now), answer)
        if back is not None:
            assert (answer.status_code, answer.json) == (200, back)

    @rule(c=courses)
    def reinstate_all_who_dropped(self, c):
        """Random students rarely have a drop to undo."""
        lost = [s for s, student in enumerate(self.ids) if student in self.courses[c].lost]
        if lost:
            self.reinstate(c, lost[::-1])

    @rule(s=students)
    def hold_or_release(self, s):
        """A hold blocks the places of a student, its release clears them."""
        student = self.ids[s]
        if student in self.holds:
            answer = self.send("POST", f"{self.holds.pop(student)}/release", {})
            assert answer.status_code == 200
        else:
            body = {"code": "x", "detail": "x", "blocks": ["add"]}
            answer = self.send("POST", f"/students/{student}/holds", body)
            assert answer.status_code == 201
            self.holds[student] = answer.headers["Location"].removeprefix("/api/v1")
        now = next(self.times)
        for course in self.courses:
            course.judge(student, now, broken=student in self.holds)

    @rule()
    def tick(self):
        """Judges the places that registrars have moved or reinstated; the others are as they
        should be.
        """
        result = self.app.test_cli_runner().invoke(args=["tick"])
        assert result.exit_code == 0, result.output
        now = next(self.times)
        for course in self.courses:
            for student in course.by_ticket():
                course.judge(student, now, broken=student in self.holds)

    @rule(s=students)
    def student_leaves_and_another_comes(self, s):
        assert self.send("DELETE", f"/students/{self.ids[s]}").status_code == 204
        now = next(self.times)
        for course in self.courses:
            course.leave([self.ids[s]], now, by_drop=False)
        self.ids[s] = self.send("POST", "/students", {"name": "Another"}).json["id"]

    @invariant()
    def they_agree(self):
        for course in self.courses:
            shown = self.client.get(f"/courses/{course.id}").json
            seats_taken = None if course.capacity is None else len(course.seats)
            assert (shown["capacity"], shown["seats_taken"]) == (course.capacity, seats_taken)
            assert (shown["waitlist_capacity"], shown["waitlisted"], shown["status"]) == (
                course.waitlist_capacity,
                len(course.waitlist),
                course.status,
            )
            roster = self.client.get(f"/courses/{course.id}/students").json
            seated = [s for s in roster if s["state"] == "enrolled"]
            seated.sort(key=lambda s: (s["enrolled_at"], s["id"]))
            assert [s["id"] for s in seated] == course.by_time()
            positions = {s["position"]: s["id"] for s in roster if s["state"] == "waitlisted"}
            assert positions == dict(enumerate(course.by_ticket(), 1))
            assert {s["id"] for s in roster if s.get("blocked")} == course.blocked
            assert shown.get("waitlist_blocked", 0) == len(course.blocked)

    def teardown(self):
        if hasattr(self, "client"):
            result = self.app.test_cli_runner().invoke(args=["audit"])
            assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("examples", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_the_service_agrees_with_the_rules(migrated, examples):
    machine = type("Machine", (Enrollments,), {"app": migrated})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )
