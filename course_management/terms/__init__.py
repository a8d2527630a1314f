"""Terms: the calendar of the school, with its deadlines, limits and registration windows.

May import `web` and the packages below it. Read `models.py` first.
"""
