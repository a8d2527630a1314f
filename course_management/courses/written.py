"""Remembers whether a transaction has written courses. Then others must not see what it reads, not
even in the memory of the process: the transaction may be rolled back.
"""

from __future__ import annotations

from weakref import ref

from sqlalchemy.engine import Connection

# Key of a connection's info: the last transaction that wrote courses. A weak reference, since a
# transaction refers to its connection.
_WRITTEN = "transaction that has written courses"


def note_written_courses(connection: Connection) -> None:
    """Remember that the current transaction of `connection` has written courses."""
    transaction = connection.get_transaction()
    if transaction is not None:
        connection.info[_WRITTEN] = ref(transaction)


def has_written_courses(connection: Connection) -> bool:
    """Whether the current transaction of `connection` has written courses."""
    transaction, last = connection.get_transaction(), connection.info.get(_WRITTEN)
    return transaction is not None and last is not None and last() is transaction
