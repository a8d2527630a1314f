"""What every other package may use: errors, rules for texts, the principal of a request, and the
prefix and methods of the API.

May import nothing of this project. Read `errors.py` first.
"""
