"""The optional fast server: a gunicorn worker, its HTTP reader, and gunicorn's hook functions.

May import `web` and the packages below it. Read `hooks.py` first: gunicorn's hooks, which every
worker needs. Then read `worker.py`; `WORKER=gthread` uses gunicorn's own worker instead.
"""
