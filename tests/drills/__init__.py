"""Failure drills: the service runs as in production, and something is broken on purpose. They are
short in `make test` and complete in `make drill`.
"""

from __future__ import annotations

import os

FULL = os.environ.get("DRILL") == "full"


def size(short: int, full: int) -> int:
    """The size of a drill: `short` in `make test`, `full` in `make drill`."""
    return full if FULL else short
