"""Waiting for a condition: tests and tools poll it instead of sleeping for a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

INTERVAL = 0.02  # seconds between two checks
_never = threading.Event()


def pause(seconds: float) -> None:
    """Let `seconds` pass. Use it only for slow clients in tests, never to wait for a condition."""
    _never.wait(seconds)


def wait_until(
    condition: Callable[[], object],
    seconds: float = 30,
    explain: Callable[[], str] = lambda: "The condition never came true.",
) -> float:
    """Wait until `condition` is true. Returns the seconds that it took.

    Raises TimeoutError with the text of `explain` after `seconds`. An error that `condition` raises
    is passed on.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(explain())
        pause(INTERVAL)
    return time.monotonic() - began


def eventually(read: Callable[[], Any], wanted: Any, seconds: float = 10) -> float:
    """Wait until `read` returns `wanted`. Returns the seconds that it took.

    Raises TimeoutError with the last value after `seconds`.
    """
    found: list[Any] = []

    def holds() -> bool:
        found[:] = [read()]
        return bool(found[0] == wanted)

    return wait_until(holds, seconds, lambda: f"It is {found[0]!r}, not {wanted!r}.")
