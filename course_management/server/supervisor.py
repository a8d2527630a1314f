"""The work that the main thread of a worker does four times a second: it ends connections whose
time is over, enables extra threads, and refuses requests while no thread is free.
"""

from __future__ import annotations

import socket
import time

from course_management.config import BASE_THREADS
from course_management.core.errors import Overloaded
from course_management.server import early_errors
from course_management.server.connection import BODY, HEAD, IDLE, STAGE_SECONDS, Connection
from course_management.server.request_threads import RequestThreads

# Extra threads are enabled once a request has taken this many seconds.
SLOW_REQUEST_SECONDS = 0.25
# They are also enabled while all base threads are busy and the process uses less than this share
# of a core: the threads then wait for the database.
MOSTLY_WAITING_CPU_SHARE = 0.15
# Waiting requests are refused once no thread has been free for this many seconds.
OVERLOADED_AFTER_SECONDS = 2.0


class Supervisor:
    """Supervises the `threads` of a worker.

    `thread_count` is the setting THREADS; `keepalive` is the setting KEEPALIVE in seconds.
    """

    def __init__(self, threads: RequestThreads, thread_count: int, keepalive: float) -> None:
        self.threads, self.thread_count = threads, thread_count
        self.stage_seconds = STAGE_SECONDS | {IDLE: keepalive}
        self.checked_at, self.cpu_seconds = time.monotonic(), time.process_time()

    def check(self, every: float, close_idle_after: float = float("inf")) -> None:
        """Do the work, unless it was done less than `every` seconds ago.

        After `close_idle_after` (seconds of `time.monotonic`) every idle connection is closed.
        """
        now = time.monotonic()
        if now - self.checked_at < every:
            return
        self._enable_extra_threads(now)
        self.checked_at = now
        for conn in self.threads.waiting.copy().values():
            if self._is_over(conn, now, close_idle_after) and self._take(conn):
                self._end(conn, now, close_idle_after)
        all_busy = len(self.threads.serving_since) == self.thread_count
        if all_busy and now - self.threads.last_taken > OVERLOADED_AFTER_SECONDS:
            self._refuse_waiting_requests()

    def _is_over(self, conn: Connection, now: float, close_idle_after: float) -> bool:
        """Return whether the time of `conn` in its stage is over."""
        idle_ends = conn.stage == IDLE and close_idle_after <= now
        return idle_ends or conn.since + self.stage_seconds[conn.stage] <= now

    def _take(self, conn: Connection) -> bool:
        """Return whether the caller owns `conn` now; a thread may have been faster."""
        return self.threads.waiting.pop(conn.fd, None) is not None

    def _end(self, conn: Connection, now: float, close_idle_after: float) -> None:
        """End `conn`, which the caller owns, unless a thread has served it in the meantime."""
        if not self._is_over(conn, now, close_idle_after):
            self.threads.wait(conn)
        elif conn.stage in (HEAD, BODY):
            early_errors.write_error(conn, 408, "", "")
            self.threads.finish(conn)
        elif conn.stage == IDLE and _has_data(conn):
            self.threads.wait(conn)
        else:
            self.threads.close(conn)

    def _enable_extra_threads(self, now: float) -> None:
        """Enable the extra threads if a base thread serves a slow request, or if all base threads
        wait more than they work.
        """
        since = [
            began
            for number, began in self.threads.serving_since.copy().items()
            if number < BASE_THREADS
        ]
        before, self.cpu_seconds = self.cpu_seconds, time.process_time()
        cpu_share = (self.cpu_seconds - before) / (now - self.checked_at)
        mostly_waiting = len(since) == BASE_THREADS and cpu_share < MOSTLY_WAITING_CPU_SHARE
        if mostly_waiting or any(now - began > SLOW_REQUEST_SECONDS for began in since):
            self.threads.extra_threads_enabled.set()
        else:
            self.threads.extra_threads_enabled.clear()

    def _refuse_waiting_requests(self) -> None:
        for fd, _ in self.threads.epoll.poll(0):
            conn = self.threads.waiting.pop(fd, None)
            if conn and self.threads.next_request(conn):
                early_errors.send_error(conn, Overloaded())
                self.threads.finish(conn)


def _has_data(conn: Connection) -> bool:
    """Return whether bytes of `conn` wait to be read by a thread."""
    try:
        return bool(conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
