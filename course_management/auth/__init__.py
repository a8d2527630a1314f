"""Who sends a request: API keys for machines, OpenID Connect tokens for people.

May import `db` and the packages below it. Read `api_keys.py` first.
"""
