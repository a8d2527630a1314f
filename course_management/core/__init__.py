"""The base of all packages: errors, rules for texts, the principal of a request, the prefix and the
methods of the API.

Imports nothing of this project. Read `errors.py` first.
"""
