"""Enrollments: the courses that students take or wait for, and the history of every change.

May import `courses`, `students`, `web` and the packages below them. Read `service.py` first:
`locks.py` locks and reads, `allocation.py` decides who gets a seat, `ledger.py` writes.
"""
