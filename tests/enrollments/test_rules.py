"""The rules of registration over HTTP: each refusal lists every rule that the request breaks. For
sets of courses, overrides and `rules=skip` see the files beside this one.
"""

from __future__ import annotations

import re

import pytest

from tests.enrollments.registering import (
    MORNING,
    broken,
    enroll,
    moment,
    offer,
    open_window,
    student,
)
from tests.web.problems import problem

__all__ = ["offer", "student"]


def test_a_student_registers_in_a_term(client, offer, student):
    course = offer("CS 225", meetings=[MORNING])
    answer = enroll(client, student, course)
    assert (answer.status_code, answer.json["added"]) == (201, [course])
    assert "warnings" not in answer.json
    again = enroll(client, student, course)
    assert (again.status_code, again.json["kept"]) == (200, [course])


def test_every_broken_rule_of_every_course_is_listed(client, offer, student):
    held = offer("CS 173", meetings=[MORNING])
    assert enroll(client, student, held).status_code == 201
    needs = offer("CS 225", {"prerequisites": {"course": "CS 125"}}, meetings=[MORNING])
    full = offer(capacity=0, consent="instructor", open_to={"group": "program:cs"})
    answer = enroll(client, student, needs, full)
    assert broken(answer) == [
        ("prerequisite-missing", needs),
        ("time-conflict", needs),
        ("restricted", full),
        ("consent-required", full),
        ("course-full", full),
    ]
    for one in answer.json["broken"]:
        assert one["student_id"] == student
        assert one["detail"].endswith(".") and one["remedy"].endswith(".")
    assert client.get(f"/students/{student}/enroll").json["course_ids"] == [held]


def test_seats_alone_are_refused_as_without_a_term(client, offer, student):
    full = offer(capacity=0)
    assert problem(enroll(client, student, full)) == (409, "course-full")


def test_windows_of_groups(client, term, offer, student):
    course = offer()
    client.put(f"/terms/{term['code']}/windows", json={"windows": []})
    refused = enroll(client, student, course)
    assert broken(refused) == [("registration-not-open", course)]
    assert f"in the term {term['code']} is not open" in refused.json["detail"]
    open_window(client, term, group="standing:senior")
    assert broken(enroll(client, student, course)) == [("registration-not-open", course)]
    client.post("/groups/standing:senior/add", json={"student_ids": [student]})
    assert enroll(client, student, course).status_code == 201


def test_holds_block_adds_and_drops(client, offer, student):
    course, other = offer(), offer()
    assert enroll(client, student, course).status_code == 201
    body = {"code": "fees", "detail": "Fees are due.", "blocks": ["add", "drop"]}
    hold = client.post(f"/students/{student}/holds", json=body).json
    assert broken(enroll(client, student, other)) == [("hold", None)]
    drop = f"/students/{student}/courses/{course}"
    assert broken(client.delete(drop)) == [("hold", None)]
    body = {"student_ids": [student]}
    assert broken(client.post(f"/courses/{course}/drop", json=body)) == [("hold", None)]
    client.post(f"/students/{student}/holds/{hold['id']}/release", json={"reason": "Paid"})
    assert client.delete(drop).status_code == 204


def test_completions_meet_prerequisites(client, offer, student):
    course = offer("CS 225", {"prerequisites": {"course": "cs 125", "min_grade": "C"}})
    path = f"/students/{student}/completions"
    done = {"catalog_code": "CS 125", "kind": "course", "grade": "D", "credits": 4}
    completion = client.post(path, json=done).json
    assert broken(enroll(client, student, course)) == [("prerequisite-missing", course)]
    client.patch(f"{path}/{completion['id']}", json={"grade": "B+"})
    assert enroll(client, student, course).status_code == 201


def test_an_entry_that_is_the_same_counts(client, offer, student):
    course = offer("CS 225", {"prerequisites": {"course": "CS 125"}})
    client.post(
        "/catalog", json={"code": "ECE 125", "title": "x", "credits_min": 1, "same_as": ["CS 125"]}
    )
    done = {"catalog_code": "ECE 125", "kind": "transfer"}
    client.post(f"/students/{student}/completions", json=done)
    assert enroll(client, student, course).status_code == 201


def test_a_condition_in_words_is_a_warning_of_every_request_that_enrolls(client, offer, make):
    course = offer("CS 499", {"prerequisites": {"text": "Consent of the head"}})
    one, two, three, four, five = (make.student()["id"] for _ in range(5))
    answers = {
        one: enroll(client, one, course),
        two: client.post(f"/students/{two}/courses", json={"course_id": course}),
        three: client.post(f"/students/{three}/changes", json={"add": [{"course_id": course}]}),
        four: client.post(f"/courses/{course}/students", json={"student_ids": [four]}),
        five: client.put(f"/students/{five}/enroll", json={"course_ids": [course]}),
    }
    for asking, answer in answers.items():
        assert answer.status_code in (200, 201), answer.text
        (warning,) = answer.json["warnings"]
        named = (warning["rule"], warning["student_id"], warning["course_id"])
        assert named == ("prerequisite-missing", asking, course)
        assert "Consent of the head" in warning["detail"]
    assert "warnings" not in client.get(f"/students/{two}/courses/{course}").json


def test_rosters_are_judged_student_by_student(client, offer, make):
    course = offer(open_to={"group": "program:cs"})
    students = [make.student()["id"] for _ in range(3)]
    client.post("/groups/program:cs/add", json={"student_ids": students[:1]})
    answer = client.post(f"/courses/{course}/students", json={"student_ids": students})
    assert broken(answer) == [("restricted", course)] * 2
    assert [one["student_id"] for one in answer.json["broken"]] == students[1:]
    one = client.post(f"/courses/{course}/students", json={"student_ids": students[:1]})
    assert one.status_code == 201


@pytest.mark.parametrize("fields", [{"capacity": 1}, {"status": "closed"}])
def test_a_roster_lists_each_student_who_gets_no_seat(client, offer, make, fields):
    course = offer(open_to={"group": "program:cs"}, **fields)
    students = [make.student(groups=["program:cs"])["id"] for _ in range(2)]
    students.append(make.student()["id"])
    answer = client.post(f"/courses/{course}/students", json={"student_ids": students})
    found = [(one["rule"], one["student_id"]) for one in answer.json["broken"]]
    refused = students[1:] if "capacity" in fields else students
    code = "course-full" if "capacity" in fields else "course-closed"
    assert found == [("restricted", students[2]), *((code, student) for student in refused)]
    assert answer.json["broken_count"] == len(found)
    assert len({one["facts"]["moment"] for one in answer.json["broken"]}) == 1


def test_the_remedy_of_a_full_course_names_the_courses_that_the_student_may_add(
    client, offer, student
):
    free, full = offer(), offer(capacity=0, waitlist_capacity=0, consent="instructor")
    for waitlist in (False, True):
        refused = enroll(client, student, full, waitlist=waitlist).json["broken"][-1]
        assert refused["rule"] == ("waitlist-full" if waitlist else "course-full")
        (address,) = re.findall(r"GET (\S+)", refused["remedy"])
        assert [one["course_id"] for one in client.get(address).json] == [free]


def test_a_late_drop_is_a_withdrawal(client, term, offer, student):
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    deadlines = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    later = {"withdraw_until": moment(days=1)}
    assert client.patch(f"/terms/{term['code']}", json=deadlines | later).status_code == 200
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204
    (completion,) = client.get(f"/students/{student}/completions").json
    wanted = {"kind": "withdrawn", "catalog_code": "CS 225", "term": term["code"], "credits": 3}
    assert {name: completion[name] for name in wanted} == wanted
    assert broken(enroll(client, student, course)) == [("add-deadline-passed", course)]


def test_a_part_has_the_deadlines_of_its_whole_term_if_it_has_none(
    client, term, part, offer, student
):
    course, other = offer("CS 225", term=part["code"]), offer(term=part["code"])
    assert enroll(client, student, course).status_code == 201
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    client.patch(f"/terms/{term['code']}", json=past | {"withdraw_until": moment(days=1)})
    assert broken(enroll(client, student, other)) == [("add-deadline-passed", other)]
    path = f"/students/{student}/courses/{course}"
    assert client.delete(path).status_code == 204
    (completion,) = client.get(f"/students/{student}/completions").json
    assert (completion["kind"], completion["term"]) == ("withdrawn", term["code"])
    own = {"add_until": moment(days=1)}
    assert client.patch(f"/terms/{part['code']}", json=own).status_code == 200
    assert enroll(client, student, course).status_code == 201
    client.patch(f"/terms/{term['code']}", json={"withdraw_until": moment(days=-1)})
    assert broken(client.delete(path)) == [("drop-deadline-passed", course)]


def test_courses_without_a_term_have_no_rules(client, make, student):
    body = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
    client.post(f"/students/{student}/holds", json=body)
    assert enroll(client, student, make.course()["id"]).status_code == 201


def test_attempts_in_two_parts_of_a_term_are_one(client, term, part, offer, student):
    other = {"code": "2026-FA-2", "name": "Second half", "parent": term["code"]}
    client.post("/terms", json=other | {"starts_on": "2026-10-19", "ends_on": "2026-12-18"})
    first = offer("CS 225", {"max_attempts": 1}, term=part["code"])
    second = offer(term="2026-FA-2", catalog_code="CS 225")
    assert enroll(client, student, first).status_code == 201
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    client.patch(f"/terms/{part['code']}", json=past | {"withdraw_until": moment(days=1)})
    assert client.delete(f"/students/{student}/courses/{first}").status_code == 204
    assert enroll(client, student, second).status_code == 201


def test_what_excludes_an_entry_excludes_those_that_are_the_same(client, offer, student):
    client.post(
        "/catalog", json={"code": "Y 1", "title": "y", "credits_min": 1, "excludes": ["Z 1"]}
    )
    course = offer("X 1", {"same_as": ["Y 1"]})
    done = {"catalog_code": "Z 1", "kind": "course", "grade": "A"}
    client.post(f"/students/{student}/completions", json=done)
    assert broken(enroll(client, student, course)) == [("excluded-by", course)]


@pytest.mark.parametrize("naming", ["A 1", "B 1"])
def test_relations_of_entries_hold_whichever_entry_names_the_other(client, offer, make, naming):
    """B 1 is the same as A 1, and excludes C 1 (or is excluded by it)."""
    named = {"A 1": "B 1", "B 1": "A 1"}[naming]
    courses = {
        code: offer(code, {"same_as": [named]} if code == naming else {}) for code in ("A 1", "B 1")
    }
    needs = offer("D 1", {"prerequisites": {"course": "A 1"}})
    excluding = offer("C 1", {"excludes": ["B 1"]} if naming == "A 1" else {})
    if naming == "B 1":
        client.patch("/catalog/B%201", json={"excludes": ["C 1"]})
    done, taking = (make.student()["id"] for _ in range(2))
    completion = {"catalog_code": "B 1", "kind": "transfer"}
    client.post(f"/students/{done}/completions", json=completion)
    assert enroll(client, done, needs).status_code == 201
    assert broken(enroll(client, done, excluding)) == [("excluded-by", excluding)]
    assert enroll(client, taking, courses["B 1"]).status_code == 201
    assert broken(enroll(client, taking, excluding)) == [("excluded-by", excluding)]
    same = courses["A 1"]
    assert broken(enroll(client, taking, same)) == [("already-taking", same)]


def test_a_setting_makes_conditions_in_words_refuse(app, client, make_app, offer, student):
    course = offer("CS 1", {"prerequisites": {"text": "consent of the head"}})
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    strict = make_app(url, text_refuses=True).test_client()
    assert broken(enroll(strict, student, course)) == [("prerequisite-missing", course)]
    answer = enroll(client, student, course)
    assert (answer.status_code, len(answer.json["warnings"])) == (201, 1)


def test_a_refusal_lists_a_thousand_rules_and_counts_all(client, offer, make):
    course = offer(consent="instructor", open_to={"group": "program:cs"})
    students = make.students(501)
    refused = client.post(f"/courses/{course}/students", json={"student_ids": students})
    assert problem(refused) == (409, "rules-broken")
    assert (len(refused.json["broken"]), refused.json["broken_count"]) == (1000, 1002)


def test_every_hold_is_listed_and_an_old_fault_is_not(client, term, offer, student):
    one, two, small = offer(credits_min=4), offer(credits_min=4), offer(credits_min=1)
    assert enroll(client, student, one, two).status_code == 201
    client.patch(f"/terms/{term['code']}", json={"max_credits": 6})
    body = {"add": [{"course_id": small}], "drop": [two]}
    for code in ("fees", "library"):
        hold = {"code": code, "detail": code, "blocks": ["add"]}
        client.post(f"/students/{student}/holds", json=hold)
    refused = client.post(f"/students/{student}/changes", json=body)
    assert broken(refused) == [("hold", None), ("hold", None)]
    for hold in client.get(f"/students/{student}/holds").json:
        path = f"/students/{student}/holds/{hold['id']}/release"
        client.post(path, json={"reason": "Paid"})
    client.patch(f"/terms/{term['code']}", json={"max_credits": 2})
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200
