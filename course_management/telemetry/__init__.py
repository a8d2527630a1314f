"""The log, the metrics, and the events that both are derived from.

May import `config` and `core`. Read `events.py` first.
"""
