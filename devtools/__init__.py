"""Shared by tests, benchmarks and `make up`: a PostgreSQL, a gunicorn, and the production topology.

Imports `course_management.config` and `deploy`. Read topology.py first.
"""
