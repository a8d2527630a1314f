"""Students: the people who enroll.

May import `web` and the packages below it. Read `models.py` first.
"""
