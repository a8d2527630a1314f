"""Courses: what students enroll in.

May import `web` and the packages below it. Read `models.py` first.
"""
