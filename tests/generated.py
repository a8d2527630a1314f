"""How many values a test generates."""

from __future__ import annotations

import os


def examples(few: int, many: int) -> int:
    """`few`, or `many` in `make test-all`, which sets THOROUGH."""
    return many if os.environ.get("THOROUGH") else few
