"""The threads of a worker, and the connections that they serve.

In gunicorn's gthread the main thread waits for all connections, hands each request to a pool of
threads, and gets the connection back through a pipe. Here the threads themselves wait, on one
epoll. EPOLLONESHOT makes epoll wake one thread for each event.

A connection is either *waiting* (in `waiting`, and armed in epoll) or owned by one thread. The
thread that removes it from `waiting` owns it: `dict.pop` is atomic.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import NoMoreData

from course_management.config import BASE_THREADS
from course_management.server import early_errors, http1
from course_management.server.connection import (
    DRAIN,
    MAX_HELD_BYTES,
    SMALL_BYTES,
    Connection,
    over_budget,
)

# Seconds for which an extra thread polls before it looks whether it is still enabled.
EXTRA_THREAD_POLL_SECONDS = 0.25

_ONESHOT = getattr(select, "EPOLLONESHOT", 0)  # macOS has no epoll


class RequestThreads:
    """Threads that answer the requests of all connections of a `worker` of gunicorn.

    It reads the worker's `alive`, `cfg`, `log`, `max_keepalived`, `max_requests` and `wsgi`, counts
    requests in its `nr`, and clears `alive` after `max_requests`. It calls `count_changed` with the
    number of open connections whenever that changes.
    """

    def __init__(self, worker: Any, count_changed: Callable[[int], None]) -> None:
        self.worker, self.count_changed = worker, count_changed
        self.epoll = select.epoll()
        self.open: dict[int, Connection] = {}  # by file descriptor
        self.waiting: dict[int, Connection] = {}  # those of them that no thread owns
        # By number of a thread: the time at which it took the connection that it serves now.
        self.serving_since: dict[int, float] = {}
        self.last_taken = time.monotonic()
        # Set while the threads beyond BASE_THREADS serve too.
        self.extra_threads_enabled = threading.Event()

    def start(self, count: int) -> None:
        """Start `count` daemon threads."""
        for number in range(count):
            threading.Thread(target=self._run, args=(number,), daemon=True).start()

    def add(self, conn: Connection) -> None:
        """Serve `conn` from now on."""
        self.open[conn.fd] = conn
        self.count_changed(len(self.open))
        # It is registered before it is armed. A thread may still hold an event of a closed
        # connection that had the same file descriptor, and must be able to arm this one.
        self.epoll.register(conn.fd, _ONESHOT)
        self.wait(conn)

    def close(self, conn: Connection) -> None:
        """Close `conn`, which the caller owns."""
        if self.open.get(conn.fd) is conn:
            del self.open[conn.fd]
            self.count_changed(len(self.open))
        conn.sock.close()

    def finish(self, conn: Connection) -> None:
        """Send no more, and close `conn` once the client has read the last answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(conn)
            return
        conn.enter(DRAIN)
        self.wait(conn)

    def wait(self, conn: Connection) -> None:
        """Put `conn` among the waiting connections. The caller no longer owns it."""
        large = conn.held_bytes > SMALL_BYTES
        self.waiting[conn.fd] = conn
        if self._arm(conn) and large:
            for oldest in over_budget(self.waiting.copy().values(), MAX_HELD_BYTES):
                self._close_waiting(oldest)

    def _arm(self, conn: Connection) -> bool:
        """Make epoll report the event for which `conn` waits; return whether it is still open.

        A thread with a late event of the same file descriptor may take `conn` before it is armed,
        serve it, and arm it for another event. This call would then overwrite that event. So it
        repeats until the armed event is the one for which the descriptor's connection waits.
        """
        armed = 0
        waiting: Connection | None = conn
        while waiting and waiting.event != armed:
            armed = waiting.event
            try:
                self.epoll.modify(conn.fd, _ONESHOT | armed)
            except OSError:  # that thread has closed it
                return False
            waiting = self.waiting.get(conn.fd)
        return True

    def _close_waiting(self, conn: Connection) -> None:
        if (found := self.waiting.pop(conn.fd, None)) is conn:
            self.close(conn)
        elif found:  # a new connection has the same file descriptor now
            self.wait(found)

    def _run(self, number: int) -> None:
        extra = number >= BASE_THREADS
        while True:
            if extra:
                self.extra_threads_enabled.wait()
            for fd, _ in self.epoll.poll(EXTRA_THREAD_POLL_SECONDS if extra else None, 1):
                self.last_taken = self.serving_since[number] = time.monotonic()
                if conn := self.waiting.pop(fd, None):  # the main thread may have taken it
                    self._serve(conn)
                del self.serving_since[number]

    def _serve(self, conn: Connection) -> None:
        """Serve one request of `conn`, or do the next step towards one.

        One request only: further ones that arrived with it wait until the answer is sent and the
        other connections have had their turn.
        """
        try:
            if request := self.next_request(conn):
                self._answer(conn, request)
        except Exception:
            self.worker.log.exception("A connection is given up.")
            self.close(conn)

    def next_request(self, conn: Connection) -> http1.Request | None:
        """Return the next request of `conn` if all of it has arrived.

        Returns None otherwise; `conn` then waits, or is closed, and the caller no longer owns it.
        """
        try:
            if conn.stage == DRAIN:
                self._drain(conn)
            elif not conn.flush():
                self.wait(conn)
            elif conn.closing:
                self.finish(conn)
            elif request := conn.next_request():
                return request
            else:
                self.wait(conn)
        except NoMoreData:
            if conn.request:  # its body is incomplete
                early_errors.write_error(conn, 400, "", "")
            self.finish(conn)
        except OSError:  # the client has closed the connection
            self.close(conn)
        except Exception as error:
            self._refuse(conn, None, error)
        return None

    def _answer(self, conn: Connection, request: http1.Request) -> None:
        try:
            conn.answer(self.respond(conn, request))
        except OSError:  # the client has closed the connection
            self.close(conn)
        except Exception as error:  # no part of the answer is sent yet
            self._refuse(conn, request, error)
        else:
            self.finish(conn) if conn.closing and not conn.unsent else self.wait(conn)

    def respond(self, conn: Connection, request: http1.Request) -> bytes:
        """Return the answer of the application to `request`.

        Sets `conn.closing` if the answer says that the connection ends. Raises what the application
        raises, and ValueError for a header with a line break.
        """
        worker = self.worker
        worker.nr += 1
        if worker.nr >= worker.max_requests:
            # Never set it to True: the main thread may have been told to stop just now.
            worker.alive = False
        head: list[Any] = []
        parts = worker.wsgi(http1.environ(conn.environ, request), lambda *given: head.extend(given))
        close = not worker.alive or len(self.open) > worker.max_keepalived or request.should_close()
        try:
            message = http1.answer(request, head[0], head[1], parts, close=close)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        conn.closing = close
        return message

    def _refuse(self, conn: Connection, request: http1.Request | None, error: Exception) -> None:
        """Answer a request that cannot be read or answered, and end the connection."""
        self.worker.handle_error(request, conn, conn.client, error)
        self.finish(conn)

    def _drain(self, conn: Connection) -> None:
        """Read and discard the bytes that the client still sends; close `conn` when none come."""
        with contextlib.suppress(OSError):
            if conn.sock.recv(2**16):
                self.wait(conn)
                return
        self.close(conn)
