"""Idempotency-Key for PUT, PATCH and DELETE. Responses that older releases stored for POST are
still replayed.
"""

from __future__ import annotations

import hashlib

import orjson
import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.web.idempotency import IdempotencyKey
from tests.web.problems import problem


@pytest.fixture
def ids(client, make):
    """A student who takes one of two courses, and an empty third."""
    student, course, other, empty = make.student()["id"], *(make.course()["id"] for _ in range(3))
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    return {"s": student, "c": course, "d": other, "e": empty}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("put", "/students/{s}", {"name": "Once"}),
        ("patch", "/students/{s}", {"name": "Once"}),
        ("delete", "/students/{s}", None),
        ("put", "/courses/{c}", {"name": "Once"}),
        ("patch", "/courses/{c}", {"name": "Once"}),
        ("delete", "/courses/{e}", None),
        ("put", "/students/{s}/enroll", {"course_ids": ["{d}"]}),
        ("delete", "/students/{s}/courses/{c}", None),
    ],
)
def test_every_write_takes_a_key(client, ids, method, path, body):
    """A repeated request has no second effect and gets the first response, even if it could not
    succeed again.
    """
    body = body and {k: [ids["d"]] if isinstance(v, list) else v for k, v in body.items()}
    headers = {"Idempotency-Key": "k"} | (
        {} if path.endswith("enroll") else {"If-Match": client_tag(client, path.format(**ids))}
    )
    first, again = (
        getattr(client, method)(path.format(**ids), json=body, headers=headers) for _ in range(2)
    )
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert first.status_code == (200 if body else 204)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers.get("ETag") == first.headers.get("ETag")
    bare = getattr(client, method)(
        path.format(**ids), json=body, headers={k: v for k, v in headers.items() if k == "If-Match"}
    )
    assert "Idempotent-Replayed" not in bare.headers
    # Without the key it is done again where it may be, and fails where the first has changed it.
    gone = method == "delete"
    assert bare.status_code == (404 if gone else 200 if path.endswith("enroll") else 412)


def client_tag(client, path):
    return client.get(path).headers["ETag"]


def test_another_method_is_another_request(client, ids):
    headers, path = {"Idempotency-Key": "k"}, f"/students/{ids['s']}"
    assert client.patch(path, json={"name": "A"}, headers=headers).status_code == 200
    assert problem(client.put(path, json={"name": "A"}, headers=headers)) == (
        422,
        "idempotency-key-reused",
    )
    assert problem(client.delete(path, headers=headers)) == (422, "idempotency-key-reused")
    assert problem(client.patch(path, json={"name": "B"}, headers=headers)) == (
        422,
        "idempotency-key-reused",
    )
    enroll = f"{path}/enroll"
    assert (
        client.post(
            enroll, json={"course_ids": [ids["d"]]}, headers={"Idempotency-Key": "l"}
        ).status_code
        == 201
    )
    put = client.put(enroll, json={"course_ids": [ids["d"]]}, headers={"Idempotency-Key": "l"})
    assert problem(put) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_an_invalid_key_is_refused_on_every_write(client, ids, method):
    body = {} if method == "delete" else {"json": {"name": "A"}}
    answer = getattr(client, method)(
        f"/students/{ids['s']}", headers={"Idempotency-Key": "a b"}, **body
    )
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["header"] == "Idempotency-Key"


def test_a_response_stored_by_an_older_release_is_replayed(app, client):
    body = {"name": "Logic", "level": "x"}
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    print_ = hashlib.sha256(
        b"\0".join((b"/courses", b"", text))
    ).hexdigest()  # as in older releases
    headers = {"Idempotency-Key": "k"}
    first = client.post("/courses", json=body, headers=headers)
    with app.app_context(), transaction(writing=False) as session:
        assert session.scalar(sa.select(IdempotencyKey.fingerprint)) == print_
    assert client.post("/courses", json=body, headers=headers).data == first.data
