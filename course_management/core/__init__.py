"""What every other package may use: the errors, the rules of texts, the principal of a request.

Imports nothing of this project. Read `errors.py` first.
"""
