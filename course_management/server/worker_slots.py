"""Slots: small numbers that identify the workers of a server.

A worker that replaces a dead one gets its slot and continues its metric files. So the number of
files does not grow with every restart. The number of open connections of each worker is in memory
that all workers inherit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from mmap import PAGESIZE, mmap

# By slot: the number of open connections plus one; 0 if the slot has no worker. This is made before
# the fork, so that all workers share it.
connection_counts = memoryview(mmap(-1, PAGESIZE)).cast("i")


def free_slot(taken: Iterable[int]) -> int:
    """Return the lowest slot that is not in `taken`."""
    used = set(taken)
    return next(slot for slot in itertools.count() if slot not in used)
