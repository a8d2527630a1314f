"""The engine: its options, and how each of its connections is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import URL

from course_management.db import commits, connections, prepared_statements, sqlite, watchdog
from course_management.db.base import db, migrate
from course_management.db.batching import Connection as BatchingConnection

# Milliseconds that a statement waits for a lock on PostgreSQL.
LOCK_TIMEOUT_MS = 5000

# Milliseconds that a statement of a request may take on PostgreSQL, including its waits.
STATEMENT_TIMEOUT_MS = 8000

# How the kernel detects a server that is gone and did not close its connections (seconds;
# tcp_user_timeout in milliseconds).
_KEEPALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def engine_options(url: URL, pool_size: int, *, batching: bool) -> dict[str, Any]:
    """Return the options with which Flask-SQLAlchemy creates the engine for `url`, with at most
    `pool_size` connections.

    The engine is in autocommit mode, so that a read costs no BEGIN and no ROLLBACK. With
    `batching` the connections are those of `batching.py`.
    """
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 10,
    }
    if url.get_backend_name() == "postgresql":
        options["connect_args"] = {
            "connect_timeout": 5,
            "application_name": "course-management",
            **_KEEPALIVE,
        }
        if batching:
            options["connect_args"]["connection_factory"] = BatchingConnection
    else:
        options["connect_args"] = {"timeout": sqlite.LOCK_TIMEOUT_SECONDS}
    return options


def init_app(app: Flask, migrations: Path, *, batching: bool, prepare: bool) -> None:
    """Set up the engine of `app` and the folder of its migrations. Does not connect."""
    db.init_app(app)
    migrate.init_app(app, db, directory=str(migrations))
    with app.app_context():
        engine = db.engine
    event.listen(engine, "connect", _on_connect)
    connections.init_app(app, engine, batching=batching)
    if engine.dialect.name == "sqlite":
        sqlite.init_engine(engine)
    else:
        if not batching:
            commits.check_commits(engine)
        if prepare:
            prepared_statements.init_engine(engine)


def _on_connect(dbapi: Any, record: Any) -> None:
    cursor = dbapi.cursor()
    if hasattr(dbapi, "server_version"):
        watchdog.ensure_running()
        cursor.execute(
            f"SET TIME ZONE 'UTC'; SET lock_timeout = {LOCK_TIMEOUT_MS}; SET statement_timeout = "
            f"{STATEMENT_TIMEOUT_MS};"
            # The server then sends warnings, which db/commits.py reads, but no notices, for example
            # of an operator's triggers.
            " SET random_page_cost = 1.1; SET client_min_messages = warning"
        )
    else:
        sqlite.use_wal(cursor)
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
