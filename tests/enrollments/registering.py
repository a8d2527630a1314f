"""What tests of the rules of registration share: courses of a term, requests and refusals."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.web.problems import problem

MORNING = {"days": ["mon", "wed"], "starts": "09:00", "ends": "10:15"}


def moment(**delta):
    """A time, from now on."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


def open_window(client, term, group=None, opens=-1, closes=1):
    window = {"group": group, "opens_at": moment(days=opens), "closes_at": moment(days=closes)}
    answer = client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def offer(client, term):
    """Makes a course of the term, with an entry of its own if it has a code."""
    open_window(client, term)

    def make(code=None, entry=(), **fields):
        if code:
            made = {"code": code, "title": code, "credits_min": 3} | dict(entry)
            assert client.post("/catalog", json=made).status_code == 201
            fields["catalog_code"] = code
        body = {"name": f"Course {uuid.uuid4()}", "level": "x", "term": term["code"]} | fields
        answer = client.post("/courses", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    return make


@pytest.fixture
def student(make):
    return make.student()["id"]


def enroll(client, student, *courses, **more):
    return client.post(f"/students/{student}/enroll", json={"course_ids": courses} | more)


def broken(answer):
    """The rules and courses of a refusal."""
    assert problem(answer) == (409, "rules-broken"), answer.text
    assert answer.json["broken_count"] == len(answer.json["broken"])
    return [(one["rule"], one["course_id"]) for one in answer.json["broken"]]
