"""The database: types, engine, transactions, what a refusal means, and keyset pagination.

May import `telemetry`, `config` and `core`; knows no HTTP. Read `transaction.py` first.
Optional fast parts, each switched off by one setting: `prepared_statements.py`, `batching.py`,
`thread_connection.py`.
"""
