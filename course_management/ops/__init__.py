"""What operators use: commands, health checks, metrics, the auditor, demo data.

May import the features and every package below them. Read `cli.py` first.
"""
