"""The history: one table of events, to which every change of the service is appended.

May import db, telemetry and core. Read `models.py` first, then `recorder.py`.
"""
