"""The service as it stands in production, something broken on purpose. Short in `make test`,
whole in `make drill`.
"""

from __future__ import annotations

import os

FULL = os.environ.get("DRILL") == "full"


def size(short: int, full: int) -> int:
    """How much of it: `short` in `make test`, `full` in `make drill`."""
    return full if FULL else short
