"""The database: column types, engine, transactions, the errors of constraints, keyset pagination.

May import `telemetry`, `config` and `core`. It does not use HTTP. Read `transaction.py` first, then
`connections.py`. Optional fast parts: `batching.py` and `thread_connection.py` (`BATCHING=off`),
`prepared_statements.py` (`PREPARE=off`).
"""
