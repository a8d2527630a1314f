"""Runs the migrations. All steps of an upgrade are one transaction. If several processes start an
upgrade, they run one after the other.
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

LOCK = 5_046_821_733  # the id of the advisory lock of upgrades: the same in every release
ATTEMPTS = 5
# How long a migration waits for a table. Requests for the table wait behind it meanwhile.
LOCK_TIMEOUT = "3s"


def run(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise SystemExit(
                f"The database has the encoding {encoding}, which cannot store every name: create "
                "it again with createdb --encoding=UTF8 --template=template0."
            )
        # Wait for another process's upgrade, however long it takes.
        connection.execute(sa.text("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"))
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
                f"The migration would leave {len(orphans)} rows that refer to missing rows. "
                "Nothing was changed."
            )


def connect() -> sa.Connection:
    """A connection. Ends the process with one line if the database cannot be used."""
    try:
        return db.engine.connect()
    except DBAPIError as error:
        where = db.engine.url.render_as_string(hide_password=True)
        raise SystemExit(
            f"The database {where} cannot be used: {' '.join(str(error.orig).split())}"
        ) from None


def upgrade() -> None:
    if db.engine.dialect.name == "sqlite":
        with suppress(OSError):  # `connect` reports the reason
            Path(str(db.engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    with connect() as connection:
        if connection.dialect.name == "sqlite":
            # A migration may rebuild a table. With this check on, dropping the old table would
            # delete the rows that refer to it.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with begin(connection):
                run(connection)
        finally:
            connection.invalidate()  # its settings differ from those of the pool


def write_sql() -> None:
    """Print the statements of the migrations as one transaction (`--sql`), without a database.

    The script takes no advisory lock. It begins at a fixed revision, so after waiting for another
    upgrade it would fail.
    """
    if db.engine.dialect.name != "postgresql":
        raise SystemExit(
            "--sql writes scripts for PostgreSQL only. The migrations of SQLite depend on the rows "
            "of the database."
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
                    "A table is in use: another session keeps it locked. Nothing was changed. Try "
                    "again."
                ) from None
            current_app.logger.warning("a table is locked by another session: trying again")
            time.sleep(attempt)


write_sql() if context.is_offline_mode() else main()
