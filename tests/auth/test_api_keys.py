"""API keys, from the command that creates one to the worker that refuses it."""

from __future__ import annotations

import re
import time

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.auth import key_cache
from course_management.auth.api_keys import ApiKey
from course_management.db.base import db
from course_management.db.transaction import transaction
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server
from devtools.waiting import eventually
from tests.conftest import bearer
from tests.web.problems import problem


def run(app, *args):
    return app.test_cli_runner().invoke(args=["api-keys", *args])


def rows(app):
    with app.app_context(), transaction(writing=False) as session:
        return [dict(row) for row in session.execute(sa.select(ApiKey.__table__)).mappings()]


def test_a_key_is_shown_once_and_only_its_hash_is_stored(app, guarded):
    result = run(
        app,
        "create",
        "--name",
        " SIS sync ",
        "--scope",
        "students:read",
        "--scope",
        "courses:write",
        "--expires",
        "90d",
    )
    (token,) = result.stdout.splitlines()
    assert re.fullmatch("cm_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}", token)
    assert "will not be shown again" in result.stderr
    (row,) = rows(app)
    assert (row["name"], row["scopes"]) == ("SIS sync", "courses:write students:read")
    assert 89.9 < (row["expires_at"] - row["issued_at"]).total_seconds() / 86400 < 90.1
    secret = token.rpartition("_")[2]
    assert not [value for value in row.values() if secret in str(value)]
    shown = run(app, "list").output
    assert re.search(rf"{token[3:15]} active .* SIS sync: courses:write students:read", shown)
    assert secret not in shown
    assert guarded.test_client().get("/students", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--name", "x"], "Missing option '--scope'"),
        (
            ["--name", "x", "--scope", "courses:delete"],
            "'courses:delete' is not one of 'courses:read'",
        ),
        (
            ["--name", "x", "--scope", "admin", "--expires", "soon"],
            "must be a number and m, h or d",
        ),
        (["--name", "x", "--scope", "admin", "--expires", "0d"], "must be a number and m, h or d"),
        (["--name", " ", "--scope", "admin"], "must be 1 to 100 characters"),
        (["--name", "a\nb", "--scope", "admin"], "none of them a control character"),
        (["--name", "SIS sync", "--scope", "admin"], 'A key named "SIS sync" exists or existed'),
    ],
)
def test_invalid_options_create_no_key(app, new_key, args, says):
    run(app, "revoke", new_key("admin")[3:15])
    result = run(app, "create", *args)
    assert result.exit_code != 0
    assert says in result.output
    assert (result.stdout, len(rows(app))) == ("", 1)


def test_an_unknown_key_id_is_reported(app):
    for command in ("revoke", "rotate"):
        result = run(app, command, "aaaaaaaaaaaa")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "No key has the id aaaaaaaaaaaa" in result.output


def test_every_worker_refuses_a_revoked_key_within_a_second(app, new_key, backend, tmp_path):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    with Gunicorn(
        {"DATABASE_URL": url, "AUTH": "required", "WEB_CONCURRENCY": "3"}, log=tmp_path / "log"
    ) as service_:
        first, second = (
            new_key("courses:read", name="first"),
            new_key("courses:read", name="second"),
        )

        def ask(token):
            """The responses on twenty connections in a row, so that every worker gets some."""
            return {
                service_.request("GET", "/courses", headers=bearer(token)).status for _ in range(20)
            }

        for token in (first, second):
            eventually(lambda token=token: ask(token), {200}, seconds=2)
        run(app, "revoke", first[3:15])
        rotated = run(app, "rotate", second[3:15]).stdout.strip()
        began = time.monotonic()
        while time.monotonic() - began < 1:
            ask(first)
        assert ask(first) == ask(second) == {401}
        assert ask(rotated) == {200}
        assert [line.split()[1] for line in run(app, "list").output.splitlines()[1:]] == [
            "revoked",
            "active",
        ]
        assert service_.request("GET", "/courses").headers["Server"] is None


def test_a_rotated_key_keeps_its_name_and_its_lifetime(app, guarded, new_key):
    old = new_key("students:write", expires="2h")
    result = run(app, "rotate", old[3:15])
    token = result.stdout.strip()
    assert (token[:15], token != old) == (old[:15], True)
    (row,) = rows(app)
    assert (row["expires_at"] - row["issued_at"]).total_seconds() == 7200
    client = guarded.test_client()
    assert client.get("/students", headers=bearer(token)).status_code == 200
    assert problem(client.get("/students", headers=bearer(old))) == (401, "token-invalid")


def test_a_new_key_works_at_once_and_a_flood_of_wrong_keys_costs_few_reads(
    guarded, new_key, statements
):
    """Fails with UNKNOWN_KEY_MAX_AGE_SECONDS = 0: every bad key then costs a statement."""
    client = guarded.test_client()
    began = time.monotonic()
    with statements(guarded) as sent:
        for i in range(300):
            bad = f"cm_{i:012}_{'x' * 40}"
            assert problem(client.get("/students", headers=bearer(bad))) == (401, "token-invalid")
    reads = [statement for statement in sent if "FROM api_keys" in statement]
    assert len(reads) <= 2 + (time.monotonic() - began) / key_cache.UNKNOWN_KEY_MAX_AGE_SECONDS
    token = new_key("students:read")
    took = eventually(
        lambda: client.get("/students", headers=bearer(token)).status_code, 200, seconds=2
    )
    assert took < key_cache.KEYS_MAX_AGE_SECONDS


def test_the_use_of_a_key_is_recorded_once_a_minute(app, guarded, new_key, statements, monkeypatch):
    client, token = guarded.test_client(), new_key("courses:read")
    assert rows(app)[0]["last_used_at"] is None
    with statements(guarded) as sent:
        for _ in range(5):
            assert client.get("/courses", headers=bearer(token)).status_code == 200
    assert len([statement for statement in sent if statement.startswith("UPDATE")]) == 1
    first = rows(app)[0]["last_used_at"]
    assert first is not None
    monkeypatch.setattr(key_cache, "RECORD_USE_SECONDS", 0.0)
    client.get("/courses", headers=bearer(token))
    assert rows(app)[0]["last_used_at"] > first


def test_recording_a_use_does_not_wait_for_another_writer(new_database, make_app):
    """Fails without the PRAGMA in `record_use`: the request then waits twenty seconds for SQLite's
    only writer.
    """
    app = make_app(new_database("sqlite"), auth="required")
    with app.app_context():
        upgrade()
        token = run(app, "create", "--name", "x", "--scope", "courses:read").stdout.strip()
        with transaction(writing=True):
            began = time.monotonic()
            answer = app.test_client().get("/courses", headers=bearer(token))
        assert (answer.status_code, time.monotonic() - began < 5) == (200, True)
    assert rows(app)[0]["last_used_at"] is None


def test_without_the_database_no_key_is_called_unknown(make_app, monkeypatch):
    """A 401 would make a client discard its key. Keys that were read within the last second stay
    valid.
    """
    server = Server()
    try:
        app = make_app(server.url, auth="required")
        with app.app_context():
            upgrade()
        token = run(app, "create", "--name", "x", "--scope", "courses:read").stdout.strip()
        client = app.test_client()
        assert client.get("/courses", headers=bearer(token)).status_code == 200
        monkeypatch.setattr(key_cache, "KEYS_MAX_AGE_SECONDS", 60.0)
        server.stop()
        assert problem(client.get("/students", headers=bearer(token))) == (403, "scope-missing")
        monkeypatch.setattr(key_cache, "KEYS_MAX_AGE_SECONDS", 0.0)
        for shown in (token, f"cm_{'a' * 12}_{'b' * 40}"):
            assert problem(client.get("/courses", headers=bearer(shown))) == (
                503,
                "service-unavailable",
            )
        server.start()
        assert client.get("/courses", headers=bearer(token)).status_code == 200
        with app.app_context():
            db.engine.dispose()
    finally:
        server.remove()
