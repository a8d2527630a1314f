"""Connections from the engine's pool, as SQLAlchemy itself manages them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Connection, Engine


@dataclass(frozen=True)
class PoolConnections:
    """Each transaction uses a connection of the pool."""

    engine: Engine

    def check_out(self) -> Connection:
        """Return a connection. Raises sqlalchemy.exc.DBAPIError if the database is not reachable,
        and sqlalchemy.exc.TimeoutError if all connections of the pool are in use.
        """
        return self.engine.connect()

    def check_in(self, connection: Connection, *, sound: bool) -> None:
        """Return the connection to the pool. If it is not `sound`, roll it back first."""
        if not sound and not connection.invalidated:
            _roll_back(connection)
        connection.close()


def _roll_back(connection: Connection) -> None:
    """End the transaction that may still be open on the server. If that fails, drop the connection.

    After a COMMIT that failed, SQLAlchemy considers the transaction ended although it is not.
    """
    try:
        # The pool does the same with a connection that it gets back.
        connection.dialect.do_rollback(connection.connection)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)
