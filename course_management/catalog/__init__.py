"""The catalog: the entries that courses of different terms share, and that prerequisites name.

May import `web` and the packages below it. Read `models.py` first.
"""
