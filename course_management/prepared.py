"""Statements that PostgreSQL plans once a connection instead of once a request.

psycopg2 prepares nothing, and planning a join costs PostgreSQL five times what running it does. A statement built with the option
PREPARED is sent as PREPARE when a connection first meets it, then as EXECUTE, with one plan for all values: so it is for
statements that go by keys. It needs a session that stays: behind PgBouncer's transaction pooling the setting PREPARE must be off.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

PREPARED = {"prepared": True}

_PARAMETER = re.compile(r"%\((\w+)\)s")


def init_engine(engine: Engine) -> None:
    """Have `engine` prepare what asks for it."""
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "before_cursor_execute", _execute, retval=True)


def _on_connect(dbapi: Any, record: Any) -> None:
    with dbapi.cursor() as cursor:
        # Left to itself PostgreSQL distrusts a plan for a list of unknown length, and plans each time after all.
        cursor.execute("SET plan_cache_mode = force_generic_plan")


def _execute(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> tuple[str, Any]:
    if many or context is None or not context.execution_options.get("prepared"):
        return statement, parameters
    known: dict[str, str] = connection.connection.info  # lives and dies with the connection to the server
    call = known.get(statement)
    if call is None:
        names = list(dict.fromkeys(_PARAMETER.findall(statement)))
        text = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", statement).replace("%%", "%")
        name = f"s{len(known)}"
        cursor.execute(f"PREPARE {name} AS {text}")
        call = f"EXECUTE {name}" + (f"({', '.join(f'%({n})s' for n in names)})" if names else "")
        known[statement] = call
    return call, parameters
