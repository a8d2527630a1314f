"""Checks of commits that PostgreSQL reports as successful although they may not last.

psycopg2 reports neither of two cases: a COMMIT that the server answers with ROLLBACK, because a
statement failed before, and a COMMIT whose wait for a synchronous standby was cancelled.
`batching.py` checks for both itself. `check_commits` adds the checks to psycopg2's own connections.
"""

from __future__ import annotations

from typing import Any

from psycopg2 import Error, OperationalError, errors, extensions
from sqlalchemy.engine import Engine


class NotConfirmed(OperationalError):  # type: ignore[misc]  # psycopg2 has no types
    """PostgreSQL has committed, but the wait for a synchronous standby was cancelled: a failover
    may undo the commit.
    """


def check_commits(engine: Engine) -> None:
    """Check every commit of `engine`, whose connections are psycopg2's own.

    A commit then raises InFailedSqlTransaction or NotConfirmed, which SQLAlchemy wraps in a
    DBAPIError like every error of the driver.
    """
    dialect: Any = engine.dialect
    dialect.do_commit = _commit


def _commit(connection: Any) -> None:
    """Commit on `connection`, SQLAlchemy's proxy of a psycopg2 connection."""
    dbapi = connection.dbapi_connection
    if dbapi.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR:
        raise errors.InFailedSqlTransaction("COMMIT would be answered with ROLLBACK.")
    del dbapi.notices[:]
    dbapi.commit()
    require_confirmation(dbapi)


def require_confirmation(dbapi: Any) -> None:
    """Raise NotConfirmed if the commit just made on `dbapi`, a psycopg2 connection, left a
    warning and PostgreSQL waits for standbys.

    PostgreSQL reports a cancelled wait as a warning that has no code of its own and is in the
    server's language. A trigger can raise a warning too. So a warning is harmless for certain only
    if PostgreSQL waits for no standby.
    """
    if dbapi.notices and _has_standbys(dbapi):
        raise NotConfirmed(*dbapi.notices[-1:])


def _has_standbys(dbapi: Any) -> bool:
    try:
        with dbapi.cursor() as cursor:
            cursor.execute("SHOW synchronous_standby_names")
            return bool(cursor.fetchone()[0])
    except Error:
        return True
