"""Authorization: every route with every kind of principal, compared with docs/access.md, and
refusals that reveal nothing.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from course_management import create_app
from course_management.auth.api_keys import ApiKey
from course_management.config import Config, database_url
from course_management.core.principal import SCOPES
from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent
from course_management.telemetry import logs
from tests.conftest import bearer
from tests.web.problems import problem

TABLE = Path(__file__).parent.parent.parent / "docs" / "access.md"
BAD = (
    "no key",
    "garbage",
    "unknown key",
    "wrong secret",
    "expired key",
    "revoked key",
    "expired token",
)


@pytest.fixture
def two(make):
    """The ids of two students and of a course with one seat and a waitlist. There is a term."""
    make.term(code="invalid")  # also the problem code of /problems/{code}
    return (
        make.student(external_id="100")["id"],
        make.student(external_id="200")["id"],
        make.course(name="Logic", capacity=1, waitlist_capacity=5)["id"],
    )


@pytest.fixture
def callers(app, two, new_key, issuer) -> dict[str, dict[str, str]]:
    """The headers of each kind of principal."""
    tokens = {scope: new_key(scope, name=scope) for scope in SCOPES}
    revoked, expired = (new_key("admin", name=name) for name in ("revoked", "expired"))
    app.test_cli_runner().invoke(args=["api-keys", "revoke", revoked[3:15]])
    with app.app_context(), transaction(writing=True) as session:
        session.execute(
            sa.update(ApiKey).where(ApiKey.name == "expired").values(expires_at=ApiKey.issued_at)
        )
    tokens |= {
        "garbage": "cm_garbage",
        "unknown key": "cm_" + "a" * 12 + "_" + "b" * 40,
        "wrong secret": tokens["admin"][:-1] + ("a" if tokens["admin"][-1] != "a" else "b"),
        "expired key": expired,
        "revoked key": revoked,
        "expired token": issuer.token(exp=1),
        "own student": issuer.token(number="100"),
        "other student": issuer.token(number="200", sub="u-2"),
        "neither student nor staff": issuer.token(sub="u-3"),
    }
    return {"no key": {}} | {kind: bearer(token) for kind, token in tokens.items()}


def table() -> dict[tuple[str, str], set[str]]:
    """The table of docs/access.md: the admitted kinds of principals, by method and route."""
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \| (.+) \|$", TABLE.read_text(), flags=re.MULTILINE)
    return {(method, route): set(re.findall("[a-z][a-z: ]+", who)) for method, route, who in rows}


def addresses(app, student_id):
    """Every method and route of the URL map, with an address that names the principal's own
    student.
    """
    values = {
        "student_id": student_id,
        "course_id": 1,
        **dict.fromkeys(("completion_id", "hold_id", "override_id"), 1),
        "group": "program:cs",
        "course": "logic",
        "name": "start.js",
        "code": "invalid",
        "external_id": "none",
    }
    for rule in app.url_map.iter_rules():
        route = re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule.rule)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield method, route.removeprefix("/api/v1"), route.format(**values)


def test_every_route_admits_the_callers_of_the_table(guarded, callers, two):
    """Fails if a view has another scope, or if `allow_self` is missing or added."""
    client, wanted, met = guarded.test_client(), table(), set()
    for method, route, address in addresses(guarded, two[0]):
        allowed = wanted[(method, route)]
        met.add((method, route))
        everybody = allowed == {"everybody"}
        assert everybody or allowed <= {*SCOPES, "own student", "any student"}
        for kind, headers in callers.items():
            # a stale If-Match, so that the rows stay for the next principals
            stale = {"If-Match": '"0"'} if method == "DELETE" else {}
            answer = client.open(address, method=method, headers=headers | stale)
            if (
                everybody
                or kind in allowed
                or ("any student" in allowed and kind in ("own student", "other student"))
            ):
                assert answer.status_code not in (401, 403, 500), (
                    method,
                    address,
                    kind,
                    answer.text,
                )
            elif kind in BAD:
                code = "not-authenticated" if kind == "no key" else "token-invalid"
                assert problem(answer) == (401, code), (method, address, kind)
            else:
                assert problem(answer) == (403, "scope-missing"), (method, address, kind)
                assert answer.json["scope"] in allowed
            assert everybody or answer.headers["Cache-Control"] == "private, no-cache"
            answer.close()
    assert met == set(wanted)


def test_a_refusal_names_the_missing_scope(guarded, callers):
    client = guarded.test_client()
    challenges = {
        kind: client.get("/students", headers=callers[kind]).headers["WWW-Authenticate"]
        for kind in callers
        if kind in BAD
    }
    assert challenges.pop("no key") == 'Bearer realm="course-management"'
    assert set(challenges.values()) == {'Bearer realm="course-management", error="invalid_token"'}
    for header in ("Basic YTpi", "Bearer", "Bearer ", "cm_x"):
        assert problem(client.get("/students", headers={"Authorization": header})) == (
            401,
            "not-authenticated",
        )
    assert (
        client.get(
            "/students",
            headers={
                "Authorization": callers["admin"]["Authorization"].replace("Bearer", "bearer")
            },
        ).status_code
        == 200
    )
    answer = client.get("/students", headers=callers["courses:read"])
    assert answer.headers["WWW-Authenticate"].endswith(
        'error="insufficient_scope", scope="students:read"'
    )
    assert answer.json["detail"] == "This needs the scope students:read."
    said = {
        kind: client.get("/students", headers=callers[kind]).json["detail"] for kind in BAD[2:6]
    }
    assert (
        said["unknown key"]
        == said["wrong secret"]
        == said["revoked key"]
        == "This API key is unknown or revoked."
    )
    assert said["expired key"] == "This API key has expired."


def test_requests_for_another_student_get_the_same_response_whether_they_exist_or_not(
    guarded, callers, two, statements
):
    """A refusal reads no row and no body. Fails if the student is looked up first."""
    client, (own, other, course) = guarded.test_client(), two
    headers = callers["own student"]
    # the principal is remembered from now on
    assert client.get(f"/students/{own}", headers=headers).status_code == 200
    for method, path in (
        ("GET", "/students/{}"),
        ("GET", "/students/{}/courses"),
        ("GET", "/students/{}/history"),
        ("GET", f"/students/{{}}/courses/{course}"),
        ("DELETE", f"/students/{{}}/courses/{course}"),
        ("POST", "/students/{}/enroll"),
        ("PUT", "/students/{}/enroll"),
    ):
        told = set()
        for student in (other, 999_999, 0, "nonsense", 2**70):
            with statements(guarded) as sent:
                answer = client.open(
                    path.format(student), method=method, data=b"{no json", headers=headers
                )
            assert (problem(answer), sent) == ((403, "scope-missing"), [])
            told.add(
                (
                    json.dumps(answer.json | {"instance": "", "request_id": ""}),
                    str(sorted(answer.headers.keys())),
                )
            )
        assert len(told) == 1


def test_a_student_may_change_and_read_their_own_enrollments(guarded, callers, two, client, make):
    me, (own, _, course) = guarded.test_client(), two
    headers = callers["own student"]
    assert (
        me.post(
            f"/api/v1/students/{own}/enroll", json={"course_ids": [course]}, headers=headers
        ).status_code
        == 201
    )
    assert [c["id"] for c in me.get(f"/students/{own}/courses", headers=headers).json] == [course]
    assert me.head(f"/students/{own}", headers=headers).status_code == 200
    assert me.get("/courses", headers=headers).json[0]["seats_taken"] == 1
    assert me.delete(f"/students/{own}/courses/{course}", headers=headers).status_code == 204


def test_the_history_of_a_student_does_not_show_other_callers(guarded, callers, two):
    """Fails without `seen_by`: the promotion then shows the subject of the student who dropped."""
    client, (own, other, course) = guarded.test_client(), two
    enroll = {"course_ids": [course], "waitlist": True}
    client.post(f"/students/{other}/enroll", json=enroll, headers=callers["other student"])
    client.post(
        f"/students/{own}/enroll",
        json=enroll,
        headers=callers["own student"] | {"X-Request-ID": "mine"},
    )
    client.delete(
        f"/students/{other}/courses/{course}",
        headers=callers["other student"] | {"X-Request-ID": "hers"},
    )
    seen = client.get(f"/students/{own}/history", headers=callers["own student"]).json
    assert [(e["why"], e["actor"], e["request_id"]) for e in seen] == [
        ("promoted", None, None),
        ("requested", "oidc:u-1", "mine"),
    ]
    seen = client.get(f"/students/{own}/history", headers=callers["enrollments:read"]).json
    assert [(e["why"], e["actor"], e["request_id"]) for e in seen] == [
        ("promoted", "oidc:u-2", "hers"),
        ("requested", "oidc:u-1", "mine"),
    ]


def test_every_event_and_every_log_line_has_its_actor(guarded, callers, two, app):
    client, (own, _, course) = guarded.test_client(), two
    logs.configure("INFO", stream := io.StringIO())
    client.post(
        f"/students/{own}/enroll", json={"course_ids": [course]}, headers=callers["own student"]
    )
    client.post(
        f"/courses/{course}/drop", json={"student_ids": [own]}, headers=callers["enrollments:write"]
    )
    client.get("/health/live", headers=callers["admin"])
    logs.configure("INFO", io.StringIO())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["actor"]) for line in lines] == [
        ("student enrolled", "oidc:u-1"),
        ("request", "oidc:u-1"),
        ("student dropped", "key:enrollments:write"),
        ("request", "key:enrollments:write"),
        ("request", None),
    ]
    with app.app_context(), transaction(writing=False) as session:
        actors = session.scalars(
            sa.select(EnrollmentEvent.actor)
            .where(EnrollmentEvent.type == "enrollment.changed")
            .order_by(EnrollmentEvent.id)
        ).all()
    assert actors == ["oidc:u-1", "key:enrollments:write"]


def test_a_refusal_is_logged_without_the_secret(guarded, callers):
    client = guarded.test_client()
    logs.configure("INFO", stream := io.StringIO())
    for kind in callers:
        client.get("/students", headers=callers[kind])
    logs.configure("INFO", io.StringIO())
    text = stream.getvalue()
    refused = [
        line for line in map(json.loads, text.splitlines()) if line["event"] == "access refused"
    ]
    assert [line["code"] for line in refused].count("token-invalid") == 6
    assert {line["reason"] for line in refused if line["actor"] == "key:courses:read"} == {
        "This needs the scope students:read."
    }
    assert [line["actor"] for line in refused if line["reason"] == "This API key has expired."] == [
        "key:expired"
    ]
    for headers in callers.values():
        for secret in headers.values():
            assert secret.split()[1][-20:] not in text


def test_an_idempotency_key_belongs_to_its_caller(guarded, callers, new_key, client):
    """Fails if keys are stored without the principal's name: the second principal then gets the
    first one's response.
    """
    guest = guarded.test_client()
    body, key = {"name": "Ada"}, {"Idempotency-Key": "k"}
    first = guest.post("/students", json=body, headers=callers["students:write"] | key)
    again = guest.post("/students", json=body, headers=callers["students:write"] | key)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    other = guest.post("/students", json=body, headers=callers["admin"] | key)
    assert other.json["id"] != first.json["id"]
    assert problem(guest.post("/students", json=body, headers=callers["courses:read"] | key)) == (
        403,
        "scope-missing",
    )
    nobody = client.post("/students", json=body, headers=key)
    assert nobody.json["id"] not in (first.json["id"], other.json["id"])


def test_open_ignores_the_header(client):
    for header in ("Bearer cm_nonsense", "Basic x", ""):
        assert client.get("/students", headers={"Authorization": header}).status_code == 200


def test_the_command_check_needs_no_key(guarded, two):
    result = guarded.test_cli_runner().invoke(args=["check"])
    assert (result.exit_code, result.stdout.count("ok  ")) == (0, 8), result.output


@pytest.mark.parametrize("auth", ["open", "required"])
def test_a_route_without_a_scope_does_not_start(monkeypatch, auth, tmp_path):
    from course_management.web import openapi

    monkeypatch.delattr(openapi.docs, "endpoint")
    with pytest.raises(
        RuntimeError,
        match="The route /api/v1/docs declares no scope: give it one of public, courses:read",
    ):
        create_app(Config(database_url=database_url(f"sqlite:///{tmp_path / 'x.db'}"), auth=auth))
