"""How the engine is made and how each of its connections is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

from course_management.db import batching, prepared_statements
from course_management.db.base import (
    db,
    migrate,
)

LOCK_WAIT = 5000  # milliseconds a statement waits for a lock on PostgreSQL


# milliseconds a statement of a request may take on PostgreSQL, its waiting included
STATEMENT_WAIT = 8000


# seconds a writer waits for its turn: SQLite's queue is not fair, and the unlucky wait long
SQLITE_WAIT = 20.0


# How the kernel finds out that the other side is gone without a word (seconds; tcp_user_timeout in
# milliseconds).
DEAD_PEER = {
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def engine_options(url: URL, pool_size: int) -> dict[str, Any]:
    """How Flask-SQLAlchemy makes the engine: autocommit by default, so that a read costs no
    BEGIN and no ROLLBACK.
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
            **DEAD_PEER,
        }
        options["connect_args"]["connection_factory"] = batching.Connection
    else:
        options["connect_args"] = {"timeout": SQLITE_WAIT}
    return options


def prepare_engine(engine: Engine) -> None:
    """Have every connection of `engine` set up."""
    event.listen(engine, "connect", _on_connect)


def _on_connect(dbapi: Any, record: Any) -> None:
    cursor = dbapi.cursor()
    if hasattr(dbapi, "server_version"):
        cursor.execute(
            f"SET TIME ZONE 'UTC'; SET lock_timeout = {LOCK_WAIT}; SET statement_timeout = "
            f"{STATEMENT_WAIT};"
            # What a trigger of the operator's says is no concern of whoever enrolls; warnings are
            # looked at (db/batching.py).
            " SET random_page_cost = 1.1; SET client_min_messages = warning"
        )
    else:
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def init_app(app: Flask, migrations: Path, *, prepare: bool) -> None:
    """Connect `app` with its database and the folder of its migrations."""
    db.init_app(app)
    migrate.init_app(app, db, directory=str(migrations))
    with app.app_context():
        prepare_engine(db.engine)
        if prepare and db.engine.dialect.name == "postgresql":
            prepared_statements.init_engine(db.engine)
