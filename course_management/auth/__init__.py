"""Authentication: finds the principal of an API key (machines) or an OpenID Connect token (people).

May import `db` and the packages below it. Read `api_keys.py` first.
"""
