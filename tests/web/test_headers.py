"""Security headers: CORS, Content-Security-Policy, Cache-Control and others."""

from __future__ import annotations

import re

import pytest

from tests.web.problems import problem

APP = "https://app.example.edu"


@pytest.fixture
def cors(app, make_app):
    """A client of the app with one origin listed."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    return make_app(url, auth="required", cors_origins=(APP, "http://localhost:3000")).test_client()


@pytest.mark.parametrize("origin", [APP, "http://localhost:3000"])
def test_a_listed_origin_gets_cors_headers(cors, origin):
    asked = cors.options(
        "/students/1/enroll", headers={"Origin": origin, "Access-Control-Request-Method": "PUT"}
    )
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert {"POST", "PUT"} <= set(asked.headers["Access-Control-Allow-Methods"].split(", "))
    assert {"Authorization", "If-Match", "Idempotency-Key"} <= set(
        asked.headers["Access-Control-Allow-Headers"].split(", ")
    )
    answer = cors.get("/courses", headers={"Origin": origin})
    assert problem(answer) == (401, "not-authenticated")  # pages may read refusals, too
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {"ETag", "Link", "Location"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.edu.evil.example", "http://app.example.edu", "null", APP + ":8443", "*"],
)
def test_another_origin_gets_no_cors_headers(cors, origin):
    for answer in (
        cors.options("/courses", headers={"Origin": origin}),
        cors.get("/health", headers={"Origin": origin}),
    ):
        assert answer.headers["Vary"] == "Origin"
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_without_listed_origins_nothing_is_allowed(client):
    for answer in (
        client.options("/courses", headers={"Origin": APP}),
        client.get("/courses", headers={"Origin": APP}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert "Origin" not in answer.vary


def test_pages_load_and_run_nothing_from_other_sites(client):
    for path in ("/docs", "/problems", "/problems/invalid"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert {
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        } <= set(policy.split("; "))
        assert "http" not in policy
        assert "unsafe" not in policy or path != "/docs"


def test_responses_do_not_name_the_server(gunicorn):
    for answer in (
        gunicorn.request("GET", "/courses"),
        gunicorn.request("GET", "/nowhere"),
        gunicorn.request("NO/HTTP", "/"),
    ):
        assert answer.headers["Server"] is None
        assert b"gunicorn" not in answer.body
    assert gunicorn.request("GET", "/courses").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("auth", ["open", "required"])
def test_every_response_has_a_cache_control(app, make_app, auth):
    """Fails if Cache-Control is missing with AUTH=open or on public routes."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(url, auth=auth).test_client()
    said = {
        path: client.get(path).headers["Cache-Control"]
        for path in ("/courses", "/students/1", "/metrics")
    }
    assert set(said.values()) == {"private, no-cache"}
    for path in ("/health/live", "/openapi.json", "/docs", "/problems", "/nowhere"):
        assert client.get(path).headers["Cache-Control"] == "no-cache"
    with client.get("/docs/start.js") as answer:
        assert "max-age=86400" in answer.headers["Cache-Control"]


def test_a_response_without_a_body_has_no_content_type(client, make):
    for answer in (client.options("/courses"), client.delete(f"/students/{make.student()['id']}")):
        assert (answer.data, answer.headers.get("Content-Type")) == (b"", None)


def test_the_link_to_the_next_page_is_a_valid_address(client, make):
    """Link contains a URI-Reference between < and > (RFC 8288, section 3), which cannot contain
    these characters (RFC 3986).
    """
    course = make.course(name='a<b>"c d%|é')["id"]
    students = [make.student()["id"] for _ in range(2)]
    assert (
        client.post(f"/courses/{course}/students", json={"student_ids": students}).status_code
        == 201
    )
    path = '/courses/a<b>"c%20d%25|%C3%A9/students'
    first = client.get(
        "/",
        environ_overrides={
            "RAW_URI": f"{path}?limit=1",
            "PATH_INFO": path,
            "QUERY_STRING": "limit=1",
        },
    )
    (address,) = re.fullmatch(r'<([!-~]+)>; rel="next"', first.headers["Link"]).groups()
    assert re.fullmatch(
        r"/api/v1/[A-Za-z0-9._~/%:@!$&'()*+,;=-]+\?[A-Za-z0-9._~/%:@!$&'()*+,;=?-]+", address
    )
    assert len({one["id"] for one in first.json + client.get(address).json}) == 2
