"""Idempotency-Key: a repeated request has no second effect and gets the same response."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from course_management.db.base import now
from course_management.db.transaction import transaction
from course_management.web.idempotency import IdempotencyKey
from tests.web.problems import problem


def post(client, path, body, key):
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def test_the_same_request_gets_the_same_response(client):
    body = {"name": "Logic", "level": "x"}
    first = post(client, "/courses", body, "k1")
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    for path in ("/courses", "/api/v1/courses"):
        again = client.post(
            path,
            data='{"level":"x",  "name":"Logic"}',
            content_type="application/json",
            headers={"Idempotency-Key": "k1"},
        )
        assert (again.status_code, again.data) == (201, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        for name in ("Location", "ETag", "Content-Type"):
            assert again.headers[name] == first.headers[name]
    assert len(client.get("/courses").json) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/students/{s}/enroll",
        "/students/{s}/courses",
        "/courses/{c}/students",
        "/students",
        "/courses/{c}/drop",
    ],
)
def test_every_post_takes_a_key(client, make, path):
    s, c = make.student()["id"], make.course()["id"]
    if "drop" in path:
        client.post(f"/courses/{c}/students", json={"student_ids": [s]})
    fields = {
        "enroll": {"course_ids": [c]},
        "courses": {"course_id": c},
        "{s": {},
        "drop": {"student_ids": [s]},
    }
    body = fields.get(path.rpartition("/")[2]) or (
        {"student_ids": [s]} if path.startswith("/courses") else {"name": "Ada"}
    )
    first, again = (post(client, path.format(s=s, c=c), body, "k") for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_different_request_with_the_key_is_refused(client, make):
    make.student()
    body = {"name": "Logic", "level": "x"}
    post(client, "/courses", body, "k1")
    for path, other in (("/courses", {**body, "level": "y"}), ("/students", {"name": "Logic"})):
        assert problem(post(client, path, other, "k1")) == (422, "idempotency-key-reused")
    assert len(client.get("/courses").json) == 1


def test_a_refusal_is_not_stored(client, make):
    make.course(name="Logic")
    body = {"name": "logic", "level": "x"}
    assert problem(post(client, "/courses", body, "k1")) == (409, "course-name-taken")
    client.delete("/courses/logic")
    assert post(client, "/courses", body, "k1").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "ключ".encode().decode("latin-1"), "x" * 256, "a\tb"])
def test_an_invalid_key_is_refused(client, key):
    answer = post(client, "/courses", {"name": "a", "level": "b"}, key)
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["header"] == "Idempotency-Key"
    assert client.get("/courses").json == []


def age(app, by):
    with app.app_context(), transaction(writing=True) as session:
        session.execute(sa.update(IdempotencyKey).values(created_at=now() - by))


def test_a_key_is_valid_for_a_day(app, client):
    body = {"name": "Ada"}
    first = post(client, "/students", body, "k1").json
    age(app, timedelta(hours=23, minutes=59))
    assert post(client, "/students", body, "k1").json == first
    age(app, timedelta(hours=24, minutes=1))
    second = post(client, "/students", body, "k1")
    assert second.json["id"] != first["id"]
    assert post(client, "/students", body, "k1").json == second.json


def test_a_command_removes_old_keys(app, client):
    post(client, "/students", {"name": "Ada"}, "k1")
    age(app, timedelta(hours=25))
    post(client, "/students", {"name": "Ada"}, "k2")
    assert "Keys removed: 1." in app.test_cli_runner().invoke(args=["forget-keys"]).output
    assert "Keys removed: 0." in app.test_cli_runner().invoke(args=["forget-keys"]).output
    assert post(client, "/students", {"name": "Ada"}, "k2").headers["Idempotent-Replayed"] == "true"


def test_of_simultaneous_requests_one_takes_effect(client, gunicorn):
    """Fails if `claim` always returns None: several students are then created."""
    answers = []

    def go():
        answers.append(
            gunicorn.request("POST", "/students", {"name": "Ada"}, {"Idempotency-Key": "k1"})
        )

    threads = [threading.Thread(target=go) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert [answer.headers["Idempotent-Replayed"] for answer in answers].count("true") == 11
    assert len(client.get("/students").json) == 1
