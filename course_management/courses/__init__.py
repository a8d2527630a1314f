"""Courses: the courses in which students enroll, with their seats and waitlists.

May import `web` and the packages below it. Read `models.py` first.
"""
