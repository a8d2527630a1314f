"""The parts that all views share: endpoint decorators, parsing, rendering, errors, access, OpenAPI.

May import `auth` and the packages below it. Read `endpoint.py` first. `lean_flask.py` is an
optional fast part.
"""
