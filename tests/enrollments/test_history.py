"""The history: every change is an event in the same transaction, also of deleted rows."""

from __future__ import annotations

from tests.web.problems import problem


def told(client, address):
    return [
        (e["student_id"], e["course_id"], e["from"], e["to"], e["why"])
        for e in client.get(address).json
    ]


def test_every_change_is_in_the_history_and_remains_after_deletions(client, make):
    a, b, c = (make.student()["id"] for _ in range(3))
    course, other = make.course(capacity=1, waitlist_capacity=None)["id"], make.course()["id"]
    client.post(
        f"/students/{a}/enroll", json={"course_ids": [course]}, headers={"X-Request-ID": "first"}
    )
    client.post(f"/courses/{course}/students", json={"student_ids": [b, c], "waitlist": True})
    client.put(f"/students/{a}/enroll", json={"course_ids": [other]})
    client.delete(f"/students/{b}", headers={"X-Request-ID": "gone"})
    client.delete(f"/students/{c}/courses/{course}")
    client.delete(f"/courses/{course}")
    assert told(client, f"/courses/{course}/history") == [
        (c, course, "enrolled", None, "dropped"),
        (c, course, "waitlisted", "enrolled", "promoted"),
        (b, course, "enrolled", None, "student-deleted"),
        (b, course, "waitlisted", "enrolled", "promoted"),
        (a, course, "enrolled", None, "dropped"),
        (c, course, None, "waitlisted", "requested"),
        (b, course, None, "waitlisted", "requested"),
        (a, course, None, "enrolled", "requested"),
    ]
    assert told(client, f"/students/{b}/history") == [
        (b, course, "enrolled", None, "student-deleted"),
        (b, course, "waitlisted", "enrolled", "promoted"),
        (b, course, None, "waitlisted", "requested"),
    ]
    events = client.get(f"/students/{a}/history").json
    assert [e["request_id"] for e in events][-1] == "first"
    assert events[0]["at"] >= events[-1]["at"]
    assert [e["request_id"] for e in client.get(f"/students/{c}/history").json][1] == "gone"


def test_a_history_has_pages_and_needs_an_existing_row(client, make):
    student, course = make.student()["id"], make.course(name="Logic")["id"]
    assert (
        client.get(f"/students/{student}/history").json
        == client.get("/courses/logic/history").json
        == []
    )
    for _ in range(3):
        client.post(f"/students/{student}/courses", json={"course_id": course})
        client.delete(f"/students/{student}/courses/{course}")
    whole = client.get("/courses/logic/history").json
    ids, address = [], f"/courses/{course}/history?limit=4"
    while address:
        answer = client.get(address)
        assert 0 < len(answer.json) <= 4
        ids += [e["id"] for e in answer.json]
        link = answer.headers.get("Link")
        address = link and link[1 : link.index(">")]
    assert ids == [e["id"] for e in whole] == sorted(ids, reverse=True)
    assert len(ids) == 6
    assert problem(client.get("/students/99999/history")) == (404, "student-not-found")
    assert problem(client.get("/courses/99999/history")) == (404, "course-not-found")
    assert problem(client.get("/courses/nothing/history")) == (404, "course-not-found")
    assert problem(client.get(f"/students/{student}/history?sort=id")) == (422, "invalid")


def test_a_refused_request_leaves_no_event(client, make):
    student, full = make.student()["id"], make.course(capacity=0)["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [full]})
    client.post(f"/students/{student}/enroll", json={"course_ids": [make.course()["id"], 99999]})
    assert client.get(f"/students/{student}/history").json == []
