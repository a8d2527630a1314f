"""Whether students may add courses: what it says is what enrolling then does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import bearer
from tests.enrollments.registering import (  # noqa: F401
    MORNING,
    broken,
    enroll,
    moment,
    offer,
    student,
)
from tests.web.problems import problem


@pytest.fixture
def school(client, offer, student):  # noqa: F811 - fixtures
    """Courses of a term, each with another reason for a refusal, or none; one is held."""
    done = {"catalog_code": "CS 125", "kind": "course", "grade": "A"}
    client.post(f"/students/{student}/completions", json=done)
    held = offer("CS 100", meetings=[MORNING])
    assert enroll(client, student, held).status_code == 201
    return {
        "held": held,
        "fine": offer("CS 225", {"prerequisites": {"course": "CS 125"}}),
        "missing": offer("CS 241", {"prerequisites": {"course": "CS 233"}}),
        "clash": offer(meetings=[MORNING]),
        "full": offer(capacity=0),
        "both": offer(capacity=0, consent="department"),
        "unsure": offer("CS 1", {"prerequisites": {"text": "consent of the head"}}),
    }


def ask(client, student, **query):  # noqa: F811
    answer = client.get(f"/students/{student}/eligibility", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_it_says_what_enrolling_does(client, make, school, student):  # noqa: F811
    school["free"] = make.course()["id"]
    now = datetime.now(UTC).isoformat()
    items = {one["course_id"]: one for one in ask(client, student, at=now)}
    assert items.keys() == set(school.values())
    for name, course in school.items():
        item = items[course]
        refused = [one["rule"] for one in item["broken"]]
        assert item["eligible"] == (not refused)
        assert [one["rule"] for one in item["rules"] if not one["met"]] == refused, name
        answer = client.post(
            f"/students/{student}/enroll?dry_run=true", json={"course_ids": [course]}
        )
        if answer.status_code == 409 and problem(answer)[1] == "course-full":
            assert refused == ["course-full"]
        elif answer.status_code == 409:
            assert [rule for rule, _ in broken(answer)] == refused
        else:
            assert (answer.status_code < 300, refused) == (True, [])
    assert items[school["unsure"]]["warnings"][0]["rule"] == "prerequisite-missing"
    (alone,) = ask(client, student, course=school["both"], at=now)
    assert alone == items[school["both"]]


def test_pages_of_eligible_courses(client, term, school, student):  # noqa: F811
    wanted = [school["held"], school["fine"], school["unsure"]]
    path = f"/students/{student}/eligibility?term={term['code']}&eligible=true&limit=2"
    found = []
    while path:
        answer = client.get(path)
        assert answer.status_code == 200
        found += [one["course_id"] for one in answer.json]
        link = answer.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else None
    assert found == wanted
    others = [one["course_id"] for one in ask(client, student, eligible="false")]
    assert sorted(others + wanted) == sorted(school.values())


def test_at_another_moment(client, term, school, student):  # noqa: F811
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    (item,) = ask(client, student, course=school["fine"], at=later)
    assert [one["rule"] for one in item["broken"]] == ["registration-not-open"]
    ends = {"code": "fees", "detail": "x", "blocks": ["add"], "until": moment(hours=1)}
    client.post(f"/students/{student}/holds", json=ends)
    lifted = {"rule": "consent-required", "course_id": school["both"], "reason": "Agreed"}
    lifted |= {"expires_at": moment(hours=3)}
    client.post(f"/students/{student}/overrides", json=lifted)
    for hours, rules in ((0, ["hold"]), (2, []), (4, ["consent-required"])):
        (item,) = ask(client, student, course=school["both"], at=moment(hours=hours))
        assert [one["rule"] for one in item["broken"]] == [*rules, "course-full"]
    unknown = client.get(f"/students/{student}/eligibility?at=tomorrow")
    assert problem(unknown) == (422, "invalid")


def test_of_many_students(client, make, school, student):  # noqa: F811
    other = make.student()["id"]
    path = f"/courses/{school['fine']}/eligibility"
    answer = client.post(path, json={"student_ids": [other, student]})
    assert [(one["student_id"], one["eligible"]) for one in answer.json] == [
        (other, False),
        (student, True),
    ]
    missing = client.post(path, json={"student_ids": [other, 999]})
    assert (problem(missing), missing.json["missing"]) == ((404, "student-not-found"), [999])
    nowhere = client.post("/courses/999/eligibility", json={"student_ids": [other]})
    assert problem(nowhere) == (404, "course-not-found")


def test_unknown_students_and_courses(client, school, student):  # noqa: F811
    nobody = client.get("/students/999/eligibility")
    assert problem(nobody) == (404, "student-not-found")
    assert "missing" not in nobody.json
    nowhere = client.get(f"/students/{student}/eligibility?course=999")
    assert problem(nowhere) == (404, "course-not-found")


def test_a_catalogue_costs_two_statements_more_than_its_list(
    client,
    statements,
    school,
    student,  # noqa: F811
):
    with statements() as sent:
        ask(client, student, eligible="true")
    assert len(sent) == 3


def test_a_system_of_record_skips_the_rules_but_not_the_seats(
    client,
    school,
    student,  # noqa: F811
):
    path = f"/students/{student}/enroll?rules=skip"
    without = client.post(path, json={"course_ids": [school["clash"]]})
    assert (problem(without), without.json["errors"][0]["pointer"]) == ((422, "invalid"), "/reason")
    body = {"course_ids": [school["clash"], school["missing"]], "reason": "From the old system"}
    assert client.post(path, json=body).status_code == 201
    full = client.post(path, json=body | {"course_ids": [school["both"]]})
    assert problem(full) == (409, "course-full")


@pytest.fixture
def keys(new_key):
    """Makes the headers of keys with these scopes, all at once: apps keep keys for a moment."""

    def make(*scopes):
        tokens = [new_key(*some, name=f"Key {i}") for i, some in enumerate(scopes)]
        return [{"Authorization": f"Bearer {token}"} for token in tokens]

    return make


WRITE = "enrollments:write"


def test_only_a_registrar_skips_the_rules(guarded, keys, school, student):  # noqa: F811
    client = guarded.test_client()
    body = {"course_ids": [school["clash"]], "reason": "x"}
    for headers, status in zip(keys([WRITE], [WRITE, "registrar"]), (403, 201), strict=True):
        path = f"/students/{student}/enroll?rules=skip"
        assert client.post(path, json=body, headers=headers).status_code == status


def test_only_some_see_the_details_of_holds(client, guarded, keys, school, student):  # noqa: F811
    hold = {"code": "fees", "detail": "Owes 500 dollars.", "blocks": ["add"]}
    client.post(f"/students/{student}/holds", json=hold)
    asking = guarded.test_client()
    for headers, sees in zip(keys([WRITE], [WRITE, "holds:read"]), (False, True), strict=True):
        path = f"/students/{student}/enroll"
        refused = asking.post(path, json={"course_ids": [school["fine"]]}, headers=headers)
        assert broken(refused) == [("hold", None)]
        path = f"/students/{student}/eligibility?course={school['fine']}"
        explained = asking.get(path, headers=headers)
        assert ("dollars" in refused.text, "dollars" in explained.text) == (sees, sees)


def test_students_ask_about_themselves_only(guarded, client, make, issuer, school):
    """They see their own holds too."""
    me, other = (make.student(external_id=number)["id"] for number in ("100", "200"))
    hold = {"code": "fees", "detail": "Owes 500 dollars.", "blocks": ["add"]}
    client.post(f"/students/{me}/holds", json=hold)
    headers, asking = bearer(issuer.token(number="100")), guarded.test_client()
    query = f"eligibility?course={school['fine']}"
    explained = asking.get(f"/students/{me}/{query}", headers=headers)
    assert (explained.status_code, "dollars" in explained.text) == (200, True)
    refused = asking.get(f"/students/{other}/{query}", headers=headers)
    assert problem(refused) == (403, "scope-missing")
    path = f"/students/{me}/enroll?rules=skip"
    body = {"course_ids": [school["fine"]], "reason": "I want it"}
    assert problem(asking.post(path, json=body, headers=headers)) == (403, "scope-missing")
    for name in ("holds", "overrides", "completions"):
        assert asking.get(f"/students/{me}/{name}", headers=headers).status_code == 200
        assert asking.get(f"/students/{other}/{name}", headers=headers).status_code == 403
