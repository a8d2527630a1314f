"""Requests that replace, swap and move courses of terms, and the credits of these courses."""

from __future__ import annotations

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


def test_a_swap_is_judged_on_the_set_afterwards(client, offer, student):
    first, second = offer("CS 225", meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    assert broken(enroll(client, student, second)) == [("time-conflict", second)]
    body = {"add": [{"course_id": second}], "drop": [first]}
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200


def replace(client, student, *courses, **more):
    return client.put(f"/students/{student}/enroll", json={"course_ids": courses} | more)


def test_a_set_is_that_of_a_whole_term(client, term, part, offer, make, student):
    """A request about one term leaves the others alone."""
    spring = {"code": "2027-SP", "name": "Spring", "time_zone": "UTC"}
    spring |= {"starts_on": "2027-01-11", "ends_on": "2027-05-07"}
    open_window(client, client.post("/terms", json=spring).json)
    whole, half, later = offer(), offer(term=part["code"]), offer(term="2027-SP")
    free = make.course()["id"]
    every = [whole, half, later, free]
    assert enroll(client, student, *every).status_code == 201

    assert replace(client, student).json["removed"] == [free]
    assert replace(client, student, term="2027-sp").json["removed"] == [later]
    assert enroll(client, student, later, free).status_code == 201
    answer = replace(client, student, half)
    assert (answer.json["removed"], answer.json["kept"]) == ([whole, free], [half])
    left = client.get(f"/students/{student}/enroll")
    assert (left.json["course_ids"], left.headers["ETag"]) == (
        [half, later],
        answer.headers["ETag"],
    )
    assert problem(replace(client, student, term="nope")) == (404, "term-not-found")
    wrong = replace(client, student, whole, later, term=term["code"])
    assert problem(wrong) == (422, "invalid")
    assert [fault["pointer"] for fault in wrong.json["errors"]] == ["/course_ids/1"]


def test_a_replacement_is_judged_on_the_set_afterwards(client, offer, student):
    first, second = offer(meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    assert replace(client, student, second).json["removed"] == [first]
    assert broken(replace(client, student, first, second)) == [("time-conflict", first)]


def test_enrollments_show_their_credits(client, offer, make, student):
    ranged, fixed = offer(credits_min=1, credits_max=4), offer(credits_min=0)
    plain = make.course()["id"]
    path = f"/students/{student}/courses"
    made = client.post(path, json={"course_id": ranged, "credits": 2.5})
    assert (made.status_code, made.json["credits"]) == (201, 2.5)
    assert enroll(client, student, fixed, plain).status_code == 201
    credits_of = {ranged: 2.5, fixed: 0, plain: None}
    for course, number in credits_of.items():
        assert client.get(f"{path}/{course}").json.get("credits") == number
        (listed,) = client.get(f"/courses/{course}/students").json
        assert listed.get("credits") == number
    assert {one["id"]: one.get("credits") for one in client.get(path).json} == credits_of
    assert "credits" not in client.get(f"{path}/{plain}").json
    tag = client.get(f"{path}/{ranged}").headers["ETag"]
    again = client.post(path, json={"course_id": ranged, "credits": 4})
    assert (again.status_code, again.json["credits"]) == (200, 4)
    fresh = client.get(f"{path}/{ranged}", headers={"If-None-Match": tag})
    assert (fresh.status_code, fresh.json["credits"]) == (200, 4)
    kept = client.post(path, json={"course_id": ranged, "credits": None})
    assert kept.json["credits"] == 4


def test_limits_of_credits_count_the_chosen_ones(client, term, offer, student):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 5})
    wide, other = offer(credits_min=1, credits_max=4), offer(credits_min=2)
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": wide, "credits": 3.5}).status_code == 201
    assert broken(enroll(client, student, other)) == [("credits-exceeded", None)]
    assert client.post(path, json={"course_id": wide, "credits": 3}).status_code == 200
    assert enroll(client, student, other).status_code == 201
    refused = client.post(path, json={"course_id": wide, "credits": 4.5})
    assert problem(refused) == (422, "invalid")
    body = {"add": [{"course_id": wide, "credits": 4}], "drop": [other]}
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200


def test_a_move_and_a_reinstatement_keep_the_credits(client, term, offer, student):
    """A reinstatement also takes back the completion of the withdrawal."""
    first = offer("CS 225", credits_min=1, credits_max=4)
    second = offer(catalog_code="CS 225", credits_min=1, credits_max=4)
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": first, "credits": 2.5}).status_code == 201
    body = {"to": second, "student_ids": [student]}
    assert client.post(f"/courses/{first}/move", json=body).status_code == 200
    assert client.get(f"{path}/{second}").json["credits"] == 2.5
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    client.patch(f"/terms/{term['code']}", json=past | {"withdraw_until": moment(days=1)})
    assert client.delete(f"{path}/{second}").status_code == 204
    (withdrawn,) = client.get(f"/students/{student}/completions").json
    assert (withdrawn["kind"], withdrawn["credits"]) == ("withdrawn", 2.5)
    body = {"student_ids": [student]}
    assert client.post(f"/courses/{second}/reinstate", json=body).status_code == 200
    assert client.get(f"{path}/{second}").json["credits"] == 2.5
    assert client.get(f"/students/{student}/completions").json == []
