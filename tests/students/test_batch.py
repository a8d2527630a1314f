"""POST /students/batch: many students at once, by external id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent
from tests.conftest import bearer
from tests.web.problems import problem

PATH = "/students/batch"


def item(number, **fields):
    """An item of a batch."""
    return {"external_id": f"n{number}", "name": f"Student {number}", **fields}


def post(client, *items, query=""):
    """The response to a batch."""
    return client.post(PATH + query, json={"items": list(items)})


def emails(client):
    """The e-mail addresses by external id."""
    return {one["external_id"]: one["email"] for one in client.get("/students").json}


def test_a_batch_creates_changes_and_leaves(client, make):
    same = make.student(external_id="n1", name="Student 1", email="a@x.edu", groups=["b", "a"])
    old = make.student(external_id="n2", name="Old", email="b@x.edu", groups=["a"])
    answer = post(
        client,
        item(3, email="C@x.edu", groups=["z", "a"]),
        {"external_id": "n2", "name": "New", "groups": ["c"]},
        {**same, "id": 99},  # a whole response may be sent back
    )
    assert answer.status_code == 200, answer.text
    (created,) = answer.json["created"]
    assert answer.json == {
        "created": [created],
        "updated": [old["id"]],
        "unchanged": [same["id"]],
    }
    assert client.get(f"/students/{same['id']}").json == same
    changed = client.get(f"/students/{old['id']}").json
    expected = {**old, "name": "New", "groups": ["c"], "version": 2}
    assert changed == {**expected, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > old["updated_at"]
    new = client.get(f"/students/{created}").json
    assert (new["name"], new["email"], new["groups"]) == ("Student 3", "C@x.edu", ["a", "z"])
    assert (new["version"], new["created_at"]) == (1, new["updated_at"])
    members = [client.get(f"/students?group={name}").json for name in "abcz"]
    assert [[one["id"] for one in found] for found in members] == [
        [same["id"], created],
        [same["id"]],
        [old["id"]],
        [created],
    ]
    assert [one["id"] for one in client.get("/students?q=NEW").json] == [old["id"]]
    assert [one["id"] for one in client.get("/students?email=c@X.edu").json] == [created]
    cleared = post(client, {"external_id": "n3", "email": None, "groups": []})
    assert cleared.json == {"created": [], "updated": [created], "unchanged": []}
    assert client.get(f"/students/{created}").json["groups"] == []
    assert len(client.get("/students?group=z").json) == 0


def test_the_history_has_an_event_for_each_change(app, client, make):
    same = make.student(external_id="n1", name="Student 1")
    result = post(client, item(1), item(2)).json
    (created,) = result["created"]
    post(client, {"external_id": "n2", "name": "B"})
    with app.app_context(), transaction(writing=False) as session:
        told = session.execute(
            sa.select(EnrollmentEvent.student_id, EnrollmentEvent.type).order_by(EnrollmentEvent.id)
        ).all()
    assert [tuple(one) for one in told] == [
        (same["id"], "student.created"),
        (created, "student.created"),
        (created, "student.changed"),
    ]


def test_values_change_places(client, make):
    for number, email in ((1, "a@x.edu"), (2, "b@x.edu"), (3, "c@x.edu")):
        make.student(external_id=f"n{number}", email=email)
    answer = post(
        client,
        {"external_id": "n1", "email": "B@x.edu"},
        {"external_id": "n2", "email": "c@x.edu"},
        {"external_id": "n3", "email": None},
        item(4, email="a@x.edu"),
    )
    assert answer.status_code == 200, answer.text
    assert emails(client) == {"n1": "B@x.edu", "n2": "c@x.edu", "n3": None, "n4": "a@x.edu"}
    again = post(client, {"external_id": "n1", "email": "b@X.edu"})
    assert len(again.json["updated"]) == 1


def test_every_taken_value_is_listed(client, make):
    other = make.student(email="a@x.edu")
    third = make.student(external_id="n9", email="c@x.edu")
    answer = post(
        client,
        item(1, email="A@x.edu"),
        item(2, email="b@x.edu"),
        {"external_id": "n9", "name": "Keeps the address"},
        item(3, email="c@x.edu"),
    )
    assert problem(answer) == (409, "student-email-taken")
    assert [(one["pointer"], one["id"]) for one in answer.json["errors"]] == [
        ("/items/0/email", other["id"]),
        ("/items/3/email", third["id"]),
    ]
    assert len(client.get("/students").json) == 2
    assert client.get(f"/students/{third['id']}").json["version"] == 1


def test_every_fault_of_every_item_is_listed(client):
    answer = post(
        client,
        {"external_id": "n1", "name": "", "email": "x"},
        {"name": "Ada"},
        item(2, unknown=1, groups=["A B"]),
        7,
    )
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"] for fault in answer.json["errors"]} == {
        "/items/0/name",
        "/items/0/email",
        "/items/1/external_id",
        "/items/2/unknown",
        "/items/2/groups/0",
        "/items/3",
    }
    answer = post(
        client,
        item(1, email="a@x.edu"),
        {"external_id": "n2"},
        item(1),
        item(3, email="A@x.edu"),
    )
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"] for fault in answer.json["errors"]} == {
        "/items/0/external_id",
        "/items/2/external_id",
        "/items/0/email",
        "/items/3/email",
        "/items/1/name",
    }
    assert client.get("/students").json == []


@pytest.mark.parametrize("items", [[], [item(1)] * 1001, None, {}, "x"])
def test_a_batch_has_1_to_1000_items(client, items):
    answer = client.post(PATH, json={"items": items})
    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/items"]


def test_a_rehearsal_and_a_repetition(client):
    rehearsed = post(client, item(1), query="?dry_run=true")
    assert (rehearsed.status_code, len(rehearsed.json["created"])) == (200, 1)
    assert client.get("/students").json == []
    key = {"Idempotency-Key": "k"}
    first = client.post(PATH, json={"items": [item(1)]}, headers=key)
    again = client.post(PATH, json={"items": [item(1)]}, headers=key)
    assert again.json == first.json
    assert len(again.json["created"]) == 1


def test_the_number_of_statements_is_constant(client, make, statements):
    costs = []
    for start, count in ((0, 4), (100, 40), (1000, 400)):
        half = count // 2
        post(client, *(item(start + i, email=f"{start + i}@x.edu") for i in range(half)))
        items = [
            item(start + i, email=f"{start + (i + 1) % half}@x.edu", groups=["a", f"g{i % 5}"])
            for i in range(half)
        ]
        items += [item(start + half + i, groups=["b"]) for i in range(half)]
        with statements() as sent:
            assert post(client, *items).status_code == 200
        costs.append(len(sent))
    assert costs[0] == costs[1] == costs[2] <= 12, costs


def test_simultaneous_batches_of_the_same_students(gunicorn, client):
    together = Barrier(4)
    items = [item(i, email=f"{i}@x.edu") for i in range(50)]

    def send(turn):
        mine = items if turn % 2 else items[::-1]
        together.wait()
        return gunicorn.request("POST", PATH, {"items": mine}).json

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(send, range(4)))
    assert sorted(len(one["created"]) for one in results) == [0, 0, 0, 50]
    assert sorted(len(one["unchanged"]) for one in results) == [0, 50, 50, 50]
    assert {one["version"] for one in client.get("/students").json} == {1}


def test_new_groups_and_new_identities_need_their_scopes(guarded, new_key, make):
    make.student(external_id="n1", groups=["a"])
    client = guarded.test_client()
    writer = bearer(new_key("students:write", name="Writer"))

    def refused(*items):
        answer = client.post(PATH, json={"items": list(items)}, headers=writer)
        assert problem(answer) == (403, "scope-missing")
        return answer.json["scope"]

    assert refused(item(2)) == "identities:write"
    assert refused({"external_id": "n1", "groups": ["b"]}) == "records:write"
    same = {"external_id": "n1", "name": "B", "groups": ["a"]}
    assert client.post(PATH, json={"items": [same]}, headers=writer).status_code == 200


def test_its_address_has_no_other_methods(client):
    """It looks like that of a student whose id is "batch"."""
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = client.open(PATH, method=method, json={"name": "Ada"})
        assert problem(answer)[0] == 405
        assert sorted(answer.headers["Allow"].split(", ")) == ["OPTIONS", "POST"]
