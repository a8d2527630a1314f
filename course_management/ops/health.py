"""Health checks. Live: the process responds. Ready: the database is reachable and its schema has
everything that this release needs.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app
from marshmallow import fields
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from course_management.core.version import __version__
from course_management.db import integrity, transaction
from course_management.db.base import Base
from course_management.telemetry.logs import log
from course_management.web.access import PUBLIC
from course_management.web.endpoint import reading
from course_management.web.fields import Answer
from course_management.web.problems import RETRY_AFTER
from course_management.web.rendering import json_document

bp = Blueprint("health", __name__)

SCHEMA_RECHECK_SECONDS = 10.0  # a newer schema that lacks something is read again after this time
_reading = threading.Lock()


class CheckOut(Answer):
    """Whether a check passed, and its result as a text."""

    ok = fields.Boolean(metadata={"example": True})
    detail = fields.String(metadata={"example": "reachable"})


class HealthOut(Answer):
    """Whether the service can serve (`ok` or `unavailable`), its version, and each check with its
    result.
    """

    status = fields.String(metadata={"example": "ok"})
    version = fields.String(metadata={"example": __version__})
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(CheckOut),
        metadata={"example": {"database": {"ok": True, "detail": "reachable"}}},
    )


@bp.get("/health/live", endpoint="checkLiveness")
@reading(scope=PUBLIC, answer=HealthOut, no_database=True)
def live() -> Response:
    """Check whether the process responds. Checks nothing else."""
    return _health("ok", {"process": {"ok": True, "detail": "answers"}})


@bp.get("/health", endpoint="checkHealth")
@bp.get("/health/ready", endpoint="checkReadiness")
@reading(scope=PUBLIC, answer=HealthOut, status=(200, 503), no_database=True)
def ready() -> Response:
    """Check whether the database is reachable and its schema has everything that is needed."""
    checks = readiness()
    if all(check["ok"] for check in checks.values()):
        return _health("ok", checks)
    answer = _health("unavailable", checks, 503)
    answer.headers["Retry-After"] = RETRY_AFTER
    return answer


def _health(status: str, checks: dict[str, dict[str, Any]], http_status: int = 200) -> Response:
    document = {"status": status, "version": __version__, "checks": checks}
    return json_document(document, http_status)


def readiness() -> dict[str, dict[str, Any]]:
    """The result of each check by its name: `ok` and a text in `detail`. Raises nothing."""
    try:
        transaction.read(lambda connection: connection.execute(sa.select(1)))
    except SQLAlchemyError as error:
        log.warning("not ready", extra={"reason": integrity.reason(error)})
        detail = "not checked: the database is not reachable"
        return {
            "database": {"ok": False, "detail": "not reachable"},
            "schema": {"ok": False, "detail": detail},
        }
    try:
        fault = transaction.read(schema_fault)
    except SQLAlchemyError as error:
        log.warning("not ready", extra={"reason": integrity.reason(error)})
        fault = "not readable: run `flask --app wsgi db upgrade`"
    return {
        "database": {"ok": True, "detail": "reachable"},
        "schema": {"ok": not fault, "detail": fault or "has what this release needs"},
    }


def schema_fault(connection: Connection) -> str | None:
    """The reason why this release cannot use the schema, or None if it can.

    A revision that this release does not know is newer. The schema is accepted if it still has
    everything that this release uses.
    """
    script = _script(current_app.extensions["migrate"].directory)
    revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if revision == script.get_current_head():
        return None
    if revision is None or revision in {known.revision for known in script.walk_revisions()}:
        return f"at revision {revision}, behind this release: run `flask --app wsgi db upgrade`"
    if lacking := _lacking_at(revision, connection):
        return f"at revision {revision}, unknown to this release, and without {', '.join(lacking)}"
    return None


def _lacking_at(revision: str, connection: Connection) -> list[str]:
    """The tables, columns and constraints that a schema newer than this release lacks.

    Reading the schema takes 93 ms, and every client may request it. So the result is kept for each
    revision: a schema changes only together with its revision. If something is missing, the schema
    is read again after SCHEMA_RECHECK_SECONDS, because an operator may have restored it by hand.
    One thread reads at a time.
    """
    kept: dict[str, tuple[float, list[str]]] = current_app.extensions.setdefault(
        "newer schemas", {}
    )
    with _reading:
        if revision in kept and (
            not kept[revision][1] or time.monotonic() - kept[revision][0] < SCHEMA_RECHECK_SECONDS
        ):
            return kept[revision][1]
        kept[revision] = time.monotonic(), missing_from(connection)
        return kept[revision][1]


@cache
def _script(directory: str) -> ScriptDirectory:
    return ScriptDirectory(Path(directory))


def missing_from(connection: Connection) -> list[str]:
    """The tables, columns and constraints of the models that the live schema does not have."""
    inspector = sa.inspect(connection)
    lacking: list[str] = []
    there = set(inspector.get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name not in there:
            lacking.append(f"table {table.name}")
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        # Compare columns, because SQLite does not name the primary key of an AUTOINCREMENT table.
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        named = {table.primary_key.name} if key == list(table.primary_key.columns.keys()) else set()
        for found in (
            inspector.get_unique_constraints,
            inspector.get_check_constraints,
            inspector.get_foreign_keys,
        ):
            named |= {constraint["name"] for constraint in found(table.name)}
        lacking += [
            f"column {table.name}.{column.name}"
            for column in table.columns
            if column.name not in columns
        ]
        lacking += [f"constraint {c.name}" for c in table.constraints if c.name not in named]
    return lacking
