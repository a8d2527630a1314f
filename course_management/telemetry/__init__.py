"""What the service reports of itself: the log and the metrics.

May import `config` and `core`. Read `logs.py` first.
"""
