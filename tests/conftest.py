"""The fixtures of all tests. Tests run on SQLite and on PostgreSQL, on the schema that the
migrations create.
"""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from course_management import create_app
from course_management.config import Config, Oidc, database_url
from course_management.db import batching
from course_management.db.base import Base, db
from course_management.db.transaction import transaction
from course_management.telemetry import logs
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server
from devtools.stock import is_stock, selected_fields, selected_settings
from tests.auth.issuer import AUDIENCE, Issuer
from tests.longest import is_slow, position

BACKENDS = ("sqlite", "postgresql")

# Every server and command that a test starts inherits them.
os.environ.update(selected_settings())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files, and mark the slow tests. On the stock configuration, leave out
    the tests of the fast parts.
    """
    items.sort(key=lambda item: position(item.path))
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker("slow")
    if config.getoption("cov_source"):
        for item in items:
            if not is_measured(item):
                item.add_marker("no_cover")
    if is_stock():
        left_out = [item for item in items if item.get_closest_marker("fast_parts")]
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)


def is_measured(item: pytest.Item) -> bool:
    """Whether coverage is measured while a test runs. It takes as long again as the code itself.

    So a test that runs on both databases is measured on PostgreSQL only, except those of the
    package `db`. Tests on generated values are not measured: what they cover is left to chance.
    """
    call = getattr(item, "callspec", None)
    if call and call.params.get("backend") == "sqlite" and item.path.parent.name != "db":
        return False
    return not getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server: TEST_DATABASE_URL, or one started for this run."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    server = Server()
    yield server.url
    server.remove()


@pytest.fixture(scope="session")
def new_database(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Creates an empty database of the given kind and returns its address."""
    made: list[str] = []
    with_server = (
        database_url(postgres).set(drivername="postgresql").render_as_string(hide_password=False)
    )

    def administer(statement: str) -> None:
        connection = psycopg2.connect(with_server)
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def make(backend: str) -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('db') / 'test.db'}"
        made.append(f"course_management_test_{uuid.uuid4().hex[:12]}")
        administer(f"CREATE DATABASE {made[-1]}")
        return database_url(postgres).set(database=made[-1]).render_as_string(hide_password=False)

    yield make
    for name in made:
        administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def make_app() -> Iterator[Callable[..., Flask]]:
    """Creates apps with the given settings, and closes their connections at the end."""
    apps: list[Flask] = []

    def make(url: str, **settings: Any) -> Flask:
        given = selected_fields() | settings
        app = create_app(Config(database_url=database_url(url), **given))
        logs.configure("INFO", io.StringIO())
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


# pytest ends `migrated` and `gunicorn` whenever the next test wants the other backend. `migrate`
# and `serve` keep what they made: otherwise each file would have new databases and servers.
@pytest.fixture(scope="session")
def migrate(
    new_database: Callable[[str], str], make_app: Callable[..., Flask]
) -> Callable[[str], Flask]:
    """Returns the app on a migrated database of the named kind: one for each kind."""

    @cache
    def make(backend: str) -> Flask:
        app = make_app(new_database(backend))
        with app.app_context():
            upgrade()
        return app

    return make


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gunicorn]]:
    """Returns a server on the database at an address: one for each address, until the end."""
    with ExitStack() as running:

        @cache
        def start(url: str) -> Gunicorn:
            log = tmp_path_factory.mktemp("gunicorn") / "log"
            return running.enter_context(Gunicorn({"DATABASE_URL": url}, log))

        yield start


@pytest.fixture(scope="session")
def migrated(backend: str, migrate: Callable[[str], Flask]) -> Flask:
    """The app on a database that the migrations created."""
    return migrate(backend)


@pytest.fixture
def postgres_app(new_database: Callable[[str], str], make_app: Callable[..., Flask]) -> Flask:
    """The app on a migrated PostgreSQL database that no other test uses."""
    app = make_app(new_database("postgresql"))
    with app.app_context():
        upgrade()
    return app


@pytest.fixture
def app(migrated: Flask) -> Iterator[Flask]:
    """The app. Rows that the test leaves in its tables are removed."""
    yield migrated
    empty(migrated)


def empty(app: Flask) -> None:
    """Remove every row."""
    with app.app_context(), transaction(writing=True, no_timeout=True) as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the app, in-process."""
    return app.test_client()


@pytest.fixture
def term(client: FlaskClient) -> Any:
    """A whole term."""
    body = {"code": "2026-FA", "name": "Fall 2026", "time_zone": "America/Chicago"}
    dates = {"starts_on": "2026-08-24", "ends_on": "2026-12-18"}
    return client.post("/terms", json=body | dates).json


@pytest.fixture
def part(client: FlaskClient, term: dict[str, Any]) -> Any:
    """The first half of the term."""
    body = {"code": "2026-FA-1", "name": "First half", "parent": term["code"]}
    dates = {"starts_on": "2026-08-24", "ends_on": "2026-10-16"}
    return client.post("/terms", json=body | dates).json


@pytest.fixture
def statements(app: Flask) -> Callable[..., Any]:
    """Records the statements sent to the database inside `with statements() as sent`: those of
    `app`, or of the given app.
    """

    @contextmanager
    def record(of: Flask = app) -> Iterator[list[str]]:
        with of.app_context():
            dialect = db.engine.dialect
        sent: list[str] = []

        def hearing(execute: Callable[..., None]) -> Callable[..., None]:
            def hear(where: Any, text: str, *values: Any) -> None:
                sent.extend(
                    one
                    for one in text.split("; ")
                    if not one.startswith(("BEGIN", "SAVEPOINT", "PREPARE"))
                )
                execute(where, text, *values)

            return hear

        with pytest.MonkeyPatch.context() as patch:
            for name in ("do_execute", "do_executemany"):
                patch.setattr(dialect, name, hearing(getattr(dialect, name)))
            patch.setattr(batching.Connection, "defer", hearing(batching.Connection.defer))
            yield sent

    return record


@pytest.fixture
def lines(app: Flask) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines logged since the last call."""
    stream = io.StringIO()
    logs.configure("INFO", stream)

    def read() -> list[dict[str, Any]]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    yield read
    logs.configure("INFO", io.StringIO())


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """A running OpenID Connect issuer."""
    made = Issuer()
    yield made
    made.stop()


@pytest.fixture
def guarded(app: Flask, make_app: Callable[..., Flask], issuer: Issuer) -> Flask:
    """The app with AUTH=required on the same database. The claim `number` of a token is the
    external id of its student.
    """
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    roles = (("registrar", ("students:write", "enrollments:write")), ("head", ("admin",)))
    student = ("external_id", "number")
    oidc = Oidc(issuer.url, AUDIENCE, ("RS256", "ES256"), "realm_access.roles", roles, student)
    return make_app(url, auth="required", oidc=oidc)


@pytest.fixture
def new_key(app: Flask) -> Callable[..., str]:
    """Creates API keys as an operator does, and returns the last line of standard output."""

    def make(*scopes: str, name: str = "SIS sync", expires: str | None = None) -> str:
        args = ["api-keys", "create", "--name", name]
        args += [part for scope in scopes for part in ("--scope", scope)]
        args += ["--expires", expires] if expires else []
        result = app.test_cli_runner().invoke(args=args)
        assert result.exit_code == 0, result.output
        return str(result.stdout.splitlines()[-1])

    return make


def bearer(token: str) -> dict[str, str]:
    """The header that authenticates a request."""
    return {"Authorization": f"Bearer {token}"}


class Make:
    """Creates students, courses and terms over the API, with unused names and codes."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.count = client, 0

    def course(self, **fields: Any) -> dict[str, Any]:
        self.count += 1
        return self._post(
            "/courses", {"name": f"Course {self.count}", "level": "beginner", **fields}
        )

    def student(self, **fields: Any) -> dict[str, Any]:
        self.count += 1
        return self._post("/students", {"name": f"Student {self.count}", **fields})

    def students(self, number: int) -> list[int]:
        """The ids of up to 1,000 new students."""
        self.count += number
        first = self.count - number
        items = [
            {"external_id": f"made-{i}", "name": f"Student {i}"} for i in range(first, self.count)
        ]
        answer = self.client.post("/students/batch", json={"items": items})
        assert answer.status_code == 200, answer.text
        return list(answer.json["created"])

    def term(self, **fields: Any) -> dict[str, Any]:
        self.count += 1
        dates = {"starts_on": "2026-08-24", "ends_on": "2026-12-18"}
        zone = {} if fields.get("parent") else {"time_zone": "Europe/Berlin"}
        code = f"T{self.count}"
        return self._post("/terms", {"code": code, "name": "Term", **dates, **zone, **fields})

    def _post(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.post(path, json=fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())


@pytest.fixture
def make(client: FlaskClient) -> Make:
    """Creates students, courses and terms."""
    return Make(client)


@pytest.fixture(scope="session")
def gunicorn(migrated: Flask, serve: Callable[[str], Gunicorn]) -> Gunicorn:
    """The service under gunicorn, on the same database as `app`."""
    uri = migrated.config["SQLALCHEMY_DATABASE_URI"]
    return serve(uri.render_as_string(hide_password=False))
