"""Requests that break every rule at once: whichever request it is, the refusal lists all rules, and
an override of a rule takes away this rule only.
"""

from __future__ import annotations

import pytest

from course_management.records.overrides.models import RULES
from course_management.rules.case import ADD, DROP
from course_management.rules.evaluator import CODES
from course_management.rules.evaluator import RULES as JUDGED
from tests.enrollments.registering import broken, enroll, moment, offer, student

__all__ = ["offer", "student"]

# A second course in the same term is the same attempt, so the limit of repeats is not broken.
OF_ADDS = [rule.code for rule in JUDGED if ADD in rule.acts and rule.code != "repeat-limit"]
OF_DROPS = [rule.code for rule in JUDGED if DROP in rule.acts]
VALUES = {"credits-exceeded": 99, "courses-exceeded": 99, "credits-below-minimum": 0}


@pytest.fixture
def hold(client, student):
    body = {"code": "fees", "detail": "Fees are due.", "blocks": ["add", "drop"]}
    return lambda: client.post(f"/students/{student}/holds", json=body)


@pytest.fixture
def wrong(client, term, offer, student, hold):
    """The courses of a student, and one that they cannot add by any rule. Two meetings overlap by
    one minute after midnight.
    """
    spill = {"days": ["tue"], "starts": "00:59", "ends": "02:00"}
    taken = [offer("A 2", meetings=[spill]), offer("A 1", component="lecture")]
    assert enroll(client, student, *taken).status_code == 201
    needs = {"all": [{"course": "Z 9"}, {"course": "Z 8", "concurrent": True}]}
    client.patch("/catalog/A%201", json={"prerequisites": needs, "excludes": ["A 2"]})
    hold()
    client.put(f"/terms/{term['code']}/windows", json={"windows": []})
    limits = {"add_until": moment(days=-1), "max_credits": 6, "max_courses": 2}
    assert client.patch(f"/terms/{term['code']}", json=limits).status_code == 200
    night = {"days": ["mon"], "starts": "23:00", "ends": "01:00"}
    gates = {"open_to": {"group": "program:cs"}, "consent": "department", "status": "closed"}
    seats = {"capacity": 0, "waitlist_capacity": 0}
    course = offer(catalog_code="A 1", component="lecture", meetings=[night], **gates, **seats)
    return taken, course


ADDS = {
    "enroll": lambda client, student, taken, course: enroll(client, student, course),
    "replace": lambda client, student, taken, course: client.put(
        f"/students/{student}/enroll", json={"course_ids": [*taken, course]}
    ),
    "changes": lambda client, student, taken, course: client.post(
        f"/students/{student}/changes", json={"add": [{"course_id": course}]}
    ),
    "courses": lambda client, student, taken, course: client.post(
        f"/students/{student}/courses", json={"course_id": course}
    ),
    "roster": lambda client, student, taken, course: client.post(
        f"/courses/{course}/students", json={"student_ids": [student]}
    ),
}


def rules(answer):
    return [rule for rule, _ in broken(answer)]


@pytest.mark.parametrize("add", ADDS.values(), ids=ADDS)
def test_every_request_that_adds_is_judged_by_every_rule(client, student, wrong, add):
    taken, course = wrong
    wanted = [*OF_ADDS, "course-closed", "course-full"]
    assert rules(add(client, student, taken, course)) == wanted
    (asked,) = client.get(f"/students/{student}/eligibility?course={course}").json
    assert [one["rule"] for one in asked["broken"]] == wanted


def test_an_override_takes_away_its_rule_and_no_other(client, student, wrong):
    _, course = wrong
    left = rules(enroll(client, student, course))
    for rule in left[:]:
        body = {"rule": rule, "course_id": course, "reason": "Agreed", "value": VALUES.get(rule)}
        assert client.post(f"/students/{student}/overrides", json=body).status_code == 201
        left.remove(rule)
        answer = enroll(client, student, course)
        if answer.status_code == 409 and "broken" not in answer.json:
            assert [one["code"] for one in answer.json["errors"]] == left, rule
        elif left:
            assert rules(answer) == left, rule
    assert answer.status_code == 201


@pytest.fixture
def needed(client, term, offer, student, hold):
    """Two courses of a student, the second of which they cannot drop by any rule."""
    lab = offer("LAB")
    lecture = offer("LECTURE", {"prerequisites": {"course": "LAB", "concurrent": True}})
    assert enroll(client, student, lab, lecture).status_code == 201
    hold()
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2), "min_credits": 6}
    assert client.patch(f"/terms/{term['code']}", json=past).status_code == 200
    return lecture, lab


DROPS = {
    "one": lambda client, student, stays, goes: client.delete(
        f"/students/{student}/courses/{goes}"
    ),
    "roster": lambda client, student, stays, goes: client.post(
        f"/courses/{goes}/drop", json={"student_ids": [student]}
    ),
    "changes": lambda client, student, stays, goes: client.post(
        f"/students/{student}/changes", json={"drop": [goes]}
    ),
    "replace": lambda client, student, stays, goes: client.put(
        f"/students/{student}/enroll", json={"course_ids": [stays]}
    ),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_every_request_that_drops_is_judged_by_every_rule_for_drops(client, student, needed, drop):
    stays, goes = needed
    left = rules(drop(client, student, stays, goes))
    assert left == OF_DROPS
    for rule in OF_DROPS:
        body = {"rule": rule, "course_id": goes, "reason": "Agreed"}
        body |= {"value": 0} if rule in VALUES else {}
        assert client.post(f"/students/{student}/overrides", json=body).status_code == 201
        left.remove(rule)
        answer = drop(client, student, stays, goes)
        assert (rules(answer) if left else []) == left, rule
    assert answer.status_code in (200, 204)


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_no_request_that_leaves_a_waitlist_is_refused(client, term, offer, student, hold, drop):
    stays, waits = offer("A 1"), offer("B 1", capacity=0, waitlist_capacity=1)
    assert enroll(client, student, stays, waits, waitlist=True).status_code == 201
    hold()
    past = {"drop_until": moment(days=-2), "withdraw_until": moment(days=-1), "min_credits": 9}
    assert client.patch(f"/terms/{term['code']}", json=past).status_code == 200
    assert drop(client, student, stays, waits).status_code in (200, 204)
    left = client.get(f"/students/{student}/enroll").json
    assert (left["course_ids"], left["waitlisted"]) == ([stays], [])
    assert client.get(f"/students/{student}/completions").json == []


def test_an_override_may_name_any_rule_but_a_cancelled_course():
    assert set(RULES) == {*CODES, "course-closed", "course-full", "waitlist-full"}
    assert len(RULES) == len(set(RULES))
