"""Tools for operators: commands, health checks, metrics, the audit, demo data.

May import the features and every package below them. Read `cli.py` first.
"""
