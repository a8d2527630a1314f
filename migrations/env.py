"""Runs the migrations: all of an upgrade in one transaction, one upgrade at a time, whoever else
starts one.
"""

import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from alembic import context
from flask import current_app
from sqlalchemy.exc import DBAPIError, OperationalError

from course_management.db.base import Base, db
from course_management.db.connections import begin

LOCK = 5_046_821_733  # the advisory lock of upgrades: any number, the same in every release
ATTEMPTS = 5
# for a table: an upgrade that waited longer would hold up every request queued behind it
LOCK_TIMEOUT = "3s"


def run(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            remedy = "make it anew with createdb --encoding=UTF8 --template=template0"
            raise SystemExit(
                f"The database's encoding {encoding} has no room for every name: {remedy}."
            )
        connection.execute(
            sa.text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        )  # for another's upgrade, as long as it takes
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK})
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        compare_type=True,
    )
    context.run_migrations()
    if connection.dialect.name == "sqlite":
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if orphans:
            raise SystemExit(
                f"The migration would leave {len(orphans)} rows without what they refer to: "
                "nothing was changed."
            )


def connect() -> sa.Connection:
    """A connection, or one line that says why there is none."""
    try:
        return db.engine.connect()
    except DBAPIError as error:
        where = db.engine.url.render_as_string(hide_password=True)
        raise SystemExit(
            f"The database {where} cannot be used: {' '.join(str(error.orig).split())}"
        ) from None


def upgrade() -> None:
    if db.engine.dialect.name == "sqlite":
        with suppress(OSError):  # connecting will say what is wrong
            Path(str(db.engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with connect() as connection:
        if connection.dialect.name == "sqlite":
            # A migration may rebuild a table; with the checks on, dropping the old one would delete
            # what refers to it.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with begin(connection):
                run(connection)
        finally:
            connection.invalidate()  # its settings are not those of the pool


def write_sql() -> None:
    """Write the statements of the migrations (`--sql`) instead of running them, as one transaction,
    asking no database.

    Without the advisory lock: a script knows where it begins, so it could only wait for another
    upgrade and then fail.
    """
    if db.engine.dialect.name != "postgresql":
        raise SystemExit(
            "--sql writes for PostgreSQL only: what SQLite's migrations do depends on the rows "
            "they find."
        )
    context.configure(
        url=db.engine.url, target_metadata=Base.metadata, transactional_ddl=True, literal_binds=True
    )
    with context.begin_transaction():
        context.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        context.run_migrations()


def main() -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            upgrade()
            return
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != "55P03":
                raise
            if attempt == ATTEMPTS:
                raise SystemExit(
                    "A table is in use by somebody who does not let go: nothing was changed. "
                    "Try again."
                ) from None
            current_app.logger.warning("a table is locked by somebody else: trying again")
            time.sleep(attempt)


write_sql() if context.is_offline_mode() else main()
