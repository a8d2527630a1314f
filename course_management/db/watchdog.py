"""A thread that aborts database connections on which PostgreSQL no longer answers.

PostgreSQL ends statements that take too long, and the kernel detects hosts that are gone. Neither
helps if the host of the database accepts bytes and never answers, for example because its disk
hangs. Each process that connects to PostgreSQL starts one such thread, with every kind of worker.
"""

from __future__ import annotations

import os
import threading
import time

from course_management.db.connections import abort_stuck_connections
from course_management.telemetry.logs import log

# A request may use its connection for this many seconds: longer than a statement may take, and
# longer than it may wait for locks.
MAX_USE_SECONDS = 12.0
CHECK_EVERY_SECONDS = 0.25

_lock = threading.Lock()
_process: list[int] = []  # the id of the process in which the thread runs


def ensure_running() -> None:
    """Start the thread, unless it runs in this process. A fork does not copy it."""
    with _lock:
        if _process == [os.getpid()]:
            return
        _process[:] = [os.getpid()]
    threading.Thread(target=_watch, name="database-watchdog", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(CHECK_EVERY_SECONDS)
        if aborted := abort_stuck_connections(MAX_USE_SECONDS):
            log.warning(
                "database said nothing",
                extra={"connections": aborted, "seconds": MAX_USE_SECONDS},
            )
