"""The statements that the rules of registration add to a request."""

from __future__ import annotations

from itertools import count

import pytest

from tests.web.problems import problem

# Without the fast parts, a process forgets the courses of terms, and the pool may give the next
# request another connection: both cost statements.
pytestmark = pytest.mark.fast_parts


@pytest.fixture
def offer(client, make):
    """Makes courses of a term with an open window, each with a capacity and a catalog entry."""
    term, numbers = make.term()["code"], count(1)
    window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
    client.put(f"/terms/{term}/windows", json={"windows": [window]})

    def some(number, **fields):
        made = []
        for i in (next(numbers) for _ in range(number)):
            entry = {"code": f"CS {i}", "title": "Logic", "credits_min": 1, "same_as": ["LOGIC"]}
            needs = {"any": [{"course": "MATH 1"}, {"text": "consent"}]}
            client.post("/catalog", json=entry | {"prerequisites": needs})
            of_term = {"term": term, "catalog_code": f"CS {i}", "capacity": 50}
            made.append(make.course(**of_term, **fields)["id"])
        return made

    return some


@pytest.fixture
def cost(client, statements):
    """The number of statements of a request, and its response."""

    def ask(path, **body):
        with statements() as sent:
            answer = client.post(path, json=body)
        return len(sent), answer

    return ask


@pytest.fixture
def known(client, make):
    """Makes the process know courses: a student asks for all of them."""

    def ask(courses):
        client.get(f"/students/{make.student()['id']}/eligibility?limit=200")
        return courses

    return ask


@pytest.mark.parametrize("number", [1, 5])
def test_rules_add_no_statement_for_one_student(make, offer, known, cost, number):
    """The statements that read and lock the courses also read the facts about the student."""
    plain = [make.course(capacity=50)["id"] for _ in range(number)]
    for courses in (plain, known(offer(number))):
        path = f"/students/{make.student()['id']}/enroll"
        sent, answer = cost(path, course_ids=courses)
        assert (answer.status_code, sent) == (201, 6), answer.text


@pytest.mark.parametrize("number", [1, 5])
def test_rules_add_two_statements_if_the_courses_are_not_known(offer, make, cost, number):
    path = f"/students/{make.student()['id']}/enroll"
    sent, answer = cost(path, course_ids=offer(number))
    assert (answer.status_code, sent) == (201, 8), answer.text


@pytest.mark.parametrize("number", [1, 5])
def test_rules_add_three_statements_for_any_number_of_students(make, offer, cost, number):
    """The facts about the students, before the locks and under them, and the course if the process
    does not know it.
    """
    for course, wanted in ((make.course(capacity=50)["id"], 6), (*offer(1), 9)):
        students = make.students(number)
        sent, answer = cost(f"/courses/{course}/students", student_ids=students)
        assert (answer.status_code, sent) == (201, wanted), answer.text


def test_a_refusal_by_rules_reads_once_and_locks_nothing(client, make, offer, known, statements):
    courses = known(offer(3, consent="instructor"))
    path = f"/students/{make.student()['id']}/enroll"
    with statements() as sent:
        answer = client.post(path, json={"course_ids": courses})
    assert problem(answer) == (409, "rules-broken")
    assert len(sent) == 1
    assert not [one for one in sent if one.startswith("EXECUTE lock") or "FOR UPDATE" in one]


HOLD = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}


@pytest.mark.parametrize("number", [1, 3])
def test_a_fact_about_a_student_judges_any_number_of_places(make, offer, cost, number):
    """A student without places costs one statement more than the hold itself."""
    student, other = make.student()["id"], make.student()["id"]
    courses = offer(number, waitlist_capacity=None)
    for course in courses:
        make.client.patch(f"/courses/{course}", json={"capacity": 1})
        for one in (other, student):
            cost(f"/students/{one}/courses", course_id=course, waitlist=True)
    without, answer = cost(f"/students/{make.student()['id']}/holds", **HOLD)
    assert answer.status_code == 201
    # The places, the locks and the states under them, the facts, the places again; the update, the
    # counts and the events.
    sent, answer = cost(f"/students/{student}/holds", **HOLD)
    assert (answer.status_code, sent - without) == (201, 7), answer.text
    shown = [make.client.get(f"/courses/{course}").json for course in courses]
    assert [one["waitlist_blocked"] for one in shown] == [1] * number


@pytest.mark.parametrize("number", [1, 5])
def test_an_edit_queues_any_number_of_students_with_one_statement(make, offer, statements, number):
    (course,) = offer(1, waitlist_capacity=None)
    students = make.students(number + 1)
    make.client.patch(f"/courses/{course}", json={"capacity": 1})
    body = {"student_ids": students, "waitlist": True}
    assert make.client.post(f"/courses/{course}/students", json=body).status_code == 201
    counts = []
    for fields in ({"contact": "x"}, {"consent": "instructor"}):
        with statements() as sent:
            make.client.patch(f"/courses/{course}", json=fields)
        counts.append(len(sent))
    assert counts[1] - counts[0] == 1


def test_drops_cost_no_statement_more_while_nobody_waits(make, offer, statements):
    """The end of the waitlist is among the facts that the rules read anyway."""
    (course,) = offer(1)
    plain, counts = make.course(capacity=50)["id"], []
    for one in (plain, course):
        student = make.student()["id"]
        make.client.post(f"/students/{student}/courses", json={"course_id": one})
        with statements() as sent:
            answer = make.client.delete(f"/students/{student}/courses/{one}")
        assert answer.status_code == 204
        counts.append(len(sent))
    assert counts[1] - counts[0] == 1  # the facts


@pytest.mark.parametrize("number", [1, 3])
def test_promotions_queue_any_number_of_students_with_one_statement(
    make, offer, statements, number
):
    """The students may have blocked places that are cleared now. Courses without a term have
    none.
    """
    (course,) = offer(1, waitlist_capacity=None)
    plain, counts = make.course(capacity=50, waitlist_capacity=None)["id"], []
    for one in (plain, course):
        make.client.patch(f"/courses/{one}", json={"capacity": number})
        students = [make.student()["id"] for _ in range(2 * number)]
        body = {"student_ids": students, "waitlist": True}
        assert make.client.post(f"/courses/{one}/students", json=body).status_code == 201
        with statements() as sent:
            body = {"student_ids": students[:number]}
            answer = make.client.post(f"/courses/{one}/drop", json=body)
        assert answer.status_code == 200, answer.text
        roster = make.client.get(f"/courses/{one}/students").json
        assert {student["id"]: student["state"] for student in roster} == dict.fromkeys(
            students[number:], "enrolled"
        )
        counts.append(len(sent))
    assert counts[1] - counts[0] == 2  # the facts, and the students who were promoted
