"""What all views share: the endpoint decorators, parsing, rendering, errors, access, OpenAPI.

May import `auth` and the packages below it. Read `endpoint.py` first. Optional fast part,
switched off by one setting: `lean_flask.py`.
"""
