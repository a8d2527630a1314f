"""The registrar's acts say what they break by the rules of registration. They refuse nothing."""

from __future__ import annotations

import pytest

from tests.enrollments.registering import MORNING, broken, enroll, moment, offer, student

__all__ = ["offer", "student"]
pytestmark = pytest.mark.usefixtures("audited")

LAB = {"prerequisites": {"course": "B 1", "concurrent": True}}


def warned(answer):
    """The rules, students and courses of the warnings of a success."""
    assert answer.status_code == 200, answer.text
    found = answer.json.get("warnings", [])
    assert answer.json.get("warnings_count", 0) == len(found)
    return [(one["rule"], one["student_id"], one["course_id"]) for one in found]


@pytest.fixture
def needed(offer, client, make):
    """A course, another one that needs it in the same term, and two students: the first takes both,
    the second only the first course.
    """
    course, other = offer("B 1"), offer("A 1", LAB)
    both, one = make.student()["id"], make.student()["id"]
    assert enroll(client, both, course, other).status_code == 201
    assert enroll(client, one, course).status_code == 201
    return course, other, both


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_cancellation_warns_of_lost_corequisites(client, act, needed, query):
    course, other, both = needed
    answer = act(course, "cancel", query)
    assert warned(answer) == [("corequisite-missing", both, other)]
    (warning,) = answer.json["warnings"]
    assert warning["remedy"] == "Add B 1 in the same request."
    assert client.get(f"/students/{both}/enroll").json["course_ids"] == (
        [other] if not query else [course, other]
    )


@pytest.mark.parametrize(("before", "after"), [(None, "instructor"), ("instructor", None)])
def test_a_rehearsed_cancellation_leaves_nothing_in_memory(
    client, act, offer, make, student, before, after
):
    """The rehearsal and the edit give the course the same version. Fails if the process keeps what
    the rehearsal has read after its own edit: later requests are then judged without the edit.
    """
    course = offer(consent=before)
    body = {"course_ids": [course], "reason": "Enrolled on paper"}
    path = f"/students/{make.student()['id']}/enroll?rules=skip"
    assert client.post(path, json=body).status_code == 201
    assert act(course, "cancel", "?dry_run=true").status_code == 200
    assert client.patch(f"/courses/{course}", json={"consent": after}).status_code == 200
    answer = enroll(client, student, course)
    if after is None:
        assert answer.status_code == 201, answer.text
    else:
        assert broken(answer) == [("consent-required", course)]


def test_a_plan_does_not_depend_on_warnings(act, needed):
    course, other, both = needed
    plan = act(course, "cancel", "?dry_run=true").headers["Plan"]
    assert warned(act(course, "cancel", f"?plan={plan}")) == [("corequisite-missing", both, other)]


def test_a_repeated_cancellation_has_the_same_warnings(act, needed):
    course, other, both = needed
    key = {"Idempotency-Key": "c1"}
    first, again = (act(course, "cancel", headers=key) for _ in range(2))
    assert warned(again) == [("corequisite-missing", both, other)]
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")


def test_a_cancellation_warns_of_lost_prerequisites(client, act, term, part, offer, student):
    """A seat in an earlier part of the term counts provisionally."""
    body = {"code": "P2", "name": "P2", "parent": term["code"]}
    client.post("/terms", json=body | {"starts_on": "2026-10-19", "ends_on": "2026-12-18"})
    first = offer("A 1", term=part["code"])
    second = offer("B 1", {"prerequisites": {"course": "A 1"}}, term="P2")
    assert enroll(client, student, first, second).status_code == 201
    assert warned(act(first, "cancel")) == [("prerequisite-missing", student, second)]


def test_a_late_cancellation_warns_of_too_few_credits(client, act, term, offer, student):
    """Before `add_until`, the student can still add a course. Waitlist positions count too."""
    client.patch(f"/terms/{term['code']}", json={"min_credits": 6})
    courses = [offer(credits_min=3) for _ in range(3)]
    assert enroll(client, student, *courses).status_code == 201
    assert warned(act(courses[0], "cancel")) == []
    client.patch(f"/terms/{term['code']}", json={"add_until": moment(hours=-1)})
    answer = act(courses[1], "cancel")
    assert warned(answer) == [("credits-below-minimum", student, None)]
    assert answer.json["warnings"][0]["facts"]["credits"] == 3


def test_a_move_warns_of_conflicts_and_limits_once(client, act, term, offer, student, make):
    """Faults that the student had before are not repeated."""
    client.patch(f"/terms/{term['code']}", json={"max_credits": 6})
    held, old = offer(meetings=[MORNING], credits_min=3), offer(credits_min=3)
    new = offer(meetings=[MORNING], credits_min=4, open_to={"group": "program:cs"})
    assert enroll(client, student, held, old).status_code == 201
    other = make.student()["id"]
    assert enroll(client, other, old).status_code == 201
    answer = act(old, "move", to=new, all=True)
    # The credits stay as they were.
    assert warned(answer) == [
        ("time-conflict", student, new),
        ("restricted", student, new),
        ("restricted", other, new),
    ]
    third = offer(meetings=[MORNING])
    assert warned(act(new, "move", to=third, student_ids=[student])) == [
        ("time-conflict", student, third)
    ]
    assert warned(act(third, "move", to=old, student_ids=[student])) == []


def test_a_move_from_a_course_without_a_term_warns(client, act, term, offer, student, make):
    client.patch(f"/terms/{term['code']}", json={"max_courses": 1})
    plain, held, new = make.course()["id"], offer(), offer()
    assert enroll(client, student, plain, held).status_code == 201
    assert warned(act(plain, "move", "?dry_run=true", to=new, all=True)) == [
        ("courses-exceeded", student, None)
    ]
    assert warned(act(held, "move", to=plain, all=True)) == []


def test_a_reinstatement_warns_of_conflicts(client, act, offer, student):
    first, second = offer(meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    client.delete(f"/students/{student}/courses/{first}")
    assert enroll(client, student, second).status_code == 201
    answer = act(first, "reinstate", student_ids=[student])
    assert warned(answer) == [("time-conflict", student, max(first, second))]
    again = act(first, "reinstate", student_ids=[student])
    assert (again.json["kept"], warned(again)) == ([student], [])


def test_an_override_prevents_a_warning(client, act, offer, student):
    old, new = offer(), offer(consent="instructor")
    assert enroll(client, student, old).status_code == 201
    body = {"rule": "consent-required", "course_id": new, "reason": "Asked"}
    client.post(f"/students/{student}/overrides", json=body)
    assert warned(act(old, "move", to=new, all=True)) == []


def test_at_most_a_thousand_warnings_are_listed(client, act, offer, make):
    old, new = offer(), offer(consent="instructor", open_to={"group": "program:cs"})
    students = make.students(501)
    assert act(old, "students", student_ids=students).status_code == 201
    answer = act(old, "move", to=new, all=True)
    assert (len(answer.json["warnings"]), answer.json["warnings_count"]) == (1000, 1002)


ACTS = {
    "move": lambda act, one, other, students: act(one, "move", to=other, student_ids=students),
    "reinstate": lambda act, one, other, students: act(other, "reinstate", student_ids=students),
    "cancel": lambda act, one, other, students: act(other, "cancel"),
}


@pytest.mark.fast_parts
def test_acts_send_one_statement_for_any_number_of_students(client, act, offer, make, statements):
    """Only about courses of terms: the facts, and the rechecks of other waitlist places. One more
    reads courses that the process does not know: such is the course whose status a cancellation has
    just changed. It also reads who is in the course.
    """

    def cost(one, other, number):
        students = make.students(number)
        assert act(one, "students", student_ids=students).status_code == 201
        client.get(f"/students/{students[0]}/eligibility?limit=200")
        found = []
        for name, go in ACTS.items():
            if name == "reinstate":
                assert act(other, "drop", student_ids=students).status_code == 200
            with statements() as sent:
                assert go(act, one, other, students).status_code == 200
            found.append(len(sent))
        return found

    plain = cost(make.course()["id"], make.course()["id"], 2)
    two, many = (cost(offer(), offer(), number) for number in (2, 40))
    assert two == many
    assert [more - less for more, less in zip(two, plain, strict=True)] == [2, 2, 4]


def test_faults_from_before_are_not_repeated(client, act, term, offer, student):
    """A conflict and too many credits, which a system of record stated."""
    courses = [offer(meetings=[MORNING], credits_min=3) for _ in range(2)]
    old, new = offer(credits_min=3), offer(credits_min=3)
    path, body = f"/students/{student}/enroll?rules=skip", {"reason": "SIS"}
    client.patch(f"/terms/{term['code']}", json={"max_credits": 6})
    stated = client.post(path, json=body | {"course_ids": [*courses, old]})
    assert stated.status_code == 201
    assert warned(act(old, "move", to=new, all=True)) == []
