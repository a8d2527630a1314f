"""The optional fast server: a gunicorn worker, its HTTP reader, and gunicorn's hook functions.

May import `web` and the packages below it. Read `hooks.py` first, then `worker.py`. One setting,
`WORKER=gthread`, replaces the worker by gunicorn's own.
"""
