"""Headers that protect: which pages may read an answer, what a page may load, what a server tells of itself."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

APP = "https://app.example.edu"


@pytest.fixture
def cors(app, make_app):
    """A client of the app with one origin listed."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    return make_app(url, auth="required", cors_origins=(APP, "http://localhost:3000")).test_client()


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000"])
def test_a_listed_origin_asks_and_is_answered(cors, origin):
    asked = cors.options("/students/1/enroll", headers={"Origin": origin, "Access-Control-Request-Method": "PUT"})
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert {"POST", "PUT"} <= set(asked.headers["Access-Control-Allow-Methods"].split(", "))
    assert {"Authorization", "If-Match", "Idempotency-Key"} <= set(asked.headers["Access-Control-Allow-Headers"].split(", "))
    answer = cors.get("/courses", headers={"Origin": origin})
    assert problem(answer) == (401, "not-authenticated")  # a page may read a refusal too
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {"ETag", "Link", "Location"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://app.example.edu.evil.example", "http://app.example.edu", "null", APP + ":8443", "*"])
def test_another_origin_is_not(cors, origin):
    for answer in (cors.options("/courses", headers={"Origin": origin}), cors.get("/health", headers={"Origin": origin})):
        assert answer.headers["Vary"] == "Origin"
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_none_is_where_none_is_listed(client):
    for answer in (client.options("/courses", headers={"Origin": APP}), client.get("/courses", headers={"Origin": APP})):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control") or name == "Vary"]


def test_pages_load_and_run_nothing_of_others(client):
    for path in ("/docs", "/problems", "/problems/invalid"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(
            policy.split("; ")
        )
        assert "http" not in policy
        assert "unsafe" not in policy or path != "/docs"


def test_a_server_does_not_say_what_it_is(gunicorn):
    for answer in (gunicorn.request("GET", "/courses"), gunicorn.request("GET", "/nowhere"), gunicorn.request("NO/HTTP", "/")):
        assert answer.headers["Server"] is None
        assert b"gunicorn" not in answer.body
    assert gunicorn.request("GET", "/courses").headers["X-Content-Type-Options"] == "nosniff"
