"""How a worker of gunicorn hands requests to its threads.

In gunicorn's gthread one thread waits for all connections, hands each request to a pool, and gets
it back through a pipe: every handing-over makes a thread wait for the interpreter. Here the threads
wait for the connections themselves, on one epoll that wakes one of them for each request; the main
thread accepts, closes what is idle, has threads step in for those that are held up, and refuses
what nobody comes to serve. It takes a third off what the server costs a request
(docs/decisions/0010-worker.md).
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from course_management.config import BASE_THREADS
from course_management.core.errors import Overloaded
from course_management.db.connections import abort_stuck_connections
from course_management.server import early_errors, http1
from course_management.server.inbox import (
    ANSWER,
    BODY,
    DRAIN,
    HEAD,
    HELD,
    IDLE,
    LITTLE,
    TIMES,
    Connection,
    beyond,
)
from course_management.server.worker_slots import connections
from course_management.telemetry.logs import log

# seconds a request may hold its connection to the database: more than a statement may take, or a
# wait for locks
HOLD = 12.0
GIVE_WAY = 0.001  # seconds in which a worker with fewer connections may take a new one first
# seconds a thread may take for a request before others step in, and between looking whether one
# does
HELD_UP = 0.25
# of a core: where all that serve are busy and use less, they wait, and others may serve
WAITING = 0.15
ACCEPTING = 0.5  # seconds in which a stopping worker lets in those who have dialled already
# seconds without any thread coming free, after which the requests that wait are refused
STUCK = 2.0

_ONCE, _IN, _OUT = (getattr(select, name, 0) for name in ("EPOLLONESHOT", "EPOLLIN", "EPOLLOUT"))


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker whose threads take their requests from epoll."""

    alive: bool

    def init_process(self) -> None:
        self.epoll = select.epoll()
        self.conns: dict[int, Connection] = {}
        # The connections nobody serves: whoever pops one owns it (a dict's pop is atomic).
        self.waiting: dict[int, Connection] = {}
        self.busy: dict[int, float] = {}  # by number of a thread: when it took what it serves
        self.relief = threading.Event()  # set while those beyond SERVING shall serve
        self.taken = self.swept = time.monotonic()
        self.used = time.process_time()
        self.times = TIMES | {IDLE: self.cfg.keepalive}
        # gunicorn asks for some twenty settings a request, and finds each in three steps: as
        # attributes they are found in one.
        self.cfg.__dict__.update(
            {name: setting.get() for name, setting in self.cfg.settings.items()}
        )
        super().init_process()

    def run(self) -> None:
        """The main thread: accept, close, refuse, until told to stop; then wait for what is
        being served.
        """
        for number in range(self.cfg.threads):
            threading.Thread(target=self._serve, args=(number,), daemon=True).start()
        self.poller.register(
            self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks
        )
        self._tell()
        while self.alive and self.is_parent_alive():
            self.set_accept_enabled(len(self.conns) < self.worker_connections)
            self._look_after(every=HELD_UP)
        self.set_accept_enabled(False)
        self._tell()
        now = time.monotonic()
        for listener in self.sockets:  # who has been let in already is served, but for a flood
            while (
                len(self.conns) < self.worker_connections
                and time.monotonic() < now + ACCEPTING
                and self.accept(listener)
            ):
                pass
        # Who has a connection open may be sending a request just now: it is answered, and told that
        # the connection ends.
        linger, end = now + STOP_KEEPALIVE_LINGER, now + self.cfg.graceful_timeout
        while self.conns and time.monotonic() < end:
            self._look_after(every=0.1, latest=linger)
        for listener in self.sockets:
            listener.close()

    def accept(self, listener: socket.socket) -> bool:
        """Take a new connection, where there is one; a thread serves it as soon as it says
        something.

        All workers are told of it. Left to chance, one of them may get all that come together, and
        the others serve nobody.
        """
        if any(0 < count <= len(self.conns) for count in connections):
            time.sleep(GIVE_WAY)
        try:
            sock, address = listener.accept()
        except OSError:  # another worker took it, or the client has left
            return False
        conn = Connection(self.cfg, sock, address, listener.getsockname())
        self.conns[conn.fd] = conn
        self._tell()
        # Not armed before it waits: a thread may yet have in hand an event of the one that had this
        # number before.
        self.epoll.register(conn.fd, _ONCE)
        self._wait(conn)
        return True

    def handle_request(self, request: http1.Request, conn: Connection) -> None:
        """Send the answer of the application, in one packet; whether the connection may go on is
        told in it and in `conn`.
        """
        self.nr += 1
        if self.nr >= self.max_requests:
            # and never True: the main thread may have been told to stop meanwhile
            self.alive = False
        begun: list[Any] = []
        parts = self.wsgi(http1.environ(conn.environ, request), lambda *head: begun.extend(head))
        close = not self.alive or len(self.conns) > self.max_keepalived or request.should_close()
        try:
            message = http1.answer(request, begun[0], begun[1], parts, close=close)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        conn.closing = close
        conn.answer(message)

    def _serve(self, number: int) -> None:
        steps_in = number >= BASE_THREADS
        while True:
            if steps_in:
                self.relief.wait()
            for fd, _ in self.epoll.poll(HELD_UP if steps_in else None, 1):
                self.taken = self.busy[number] = time.monotonic()
                if conn := self.waiting.pop(fd, None):  # the main thread may have been faster
                    self._take(conn)
                del self.busy[number]

    def _take(self, conn: Connection) -> None:
        """Serve the requests of `conn` that are there whole, one after the other."""
        try:
            request = self._next(conn, conn.receive)
            while request and self._answer(conn, request):
                request = self._next(conn, conn.pipelined)
        except Exception:
            self.log.exception("A connection is given up.")
            self._close(conn)

    def _answer(self, conn: Connection, request: http1.Request) -> bool:
        """Whether there may be another one behind it."""
        conn.enter(IDLE)
        try:
            self.handle_request(request, conn)
        except OSError:  # the client has left
            self._close(conn)
        except Exception as error:  # nothing of the answer is sent yet
            self._give_up(conn, request, error)
        else:
            return True
        return False

    def _next(
        self, conn: Connection, read: Callable[[], http1.Request | None]
    ) -> http1.Request | None:
        """The next request of `conn`, where it is there whole; where it is not, `conn` waits for
        it, or has ended.
        """
        try:
            if conn.stage == ANSWER and conn.flush():
                conn.enter(IDLE)
                read = conn.pipelined
            if conn.stage == DRAIN:
                self._drain(conn)
            elif conn.stage == ANSWER:
                self._wait(conn)
            elif conn.closing:
                self._finish(conn)
            elif request := read():
                return request
            else:
                self._wait(conn)
        except NoMoreData:
            if conn.request:  # its body breaks off
                early_errors.write_error(conn, 400, "", "")
            self._finish(conn)
        except OSError:
            self._close(conn)
        except Exception as error:
            self._give_up(conn, None, error)
        return None

    def _give_up(self, conn: Connection, request: http1.Request | None, error: Exception) -> None:
        """Refuse what cannot be read or answered, and end the connection."""
        self.handle_error(request, conn, conn.client, error)
        self._finish(conn)

    def _wait(self, conn: Connection) -> None:
        """Leave `conn` to whoever finds that it can go on."""
        large, what = conn.held > LITTLE, _OUT if conn.stage == ANSWER else _IN
        self.waiting[conn.fd] = conn
        try:
            self.epoll.modify(conn.fd, _ONCE | what)
        # who had an event of another in hand, which had its number, took it and closed it
        except OSError:
            return
        for slow in beyond(self.waiting.copy().values(), HELD) if large else ():
            if (found := self.waiting.pop(slow.fd, None)) is slow:
                self._close(slow)
            elif found:  # another has its number now
                self._wait(found)

    def _finish(self, conn: Connection) -> None:
        """Say that no answer follows, and close when the client has heard it."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.enter(DRAIN)
        self._wait(conn)

    def _drain(self, conn: Connection) -> None:
        with contextlib.suppress(OSError):
            if conn.sock.recv(65536):
                self._wait(conn)
                return
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        if self.conns.get(conn.fd) is conn:
            del self.conns[conn.fd]
            self._tell()
        conn.sock.close()

    def _tell(self) -> None:
        """Have the other workers know how many connections there are here, while new ones are
        welcome.
        """
        connections[self.slot] = len(self.conns) + 1 if self.alive else 0

    def _look_after(self, every: float, latest: float = float("inf")) -> None:
        """Wait for something to do, `every` seconds at most; as often, close what is idle and
        refuse what waits in vain.
        """
        self.notify()
        self.wait_for_and_dispatch_events(timeout=every)
        now = time.monotonic()
        if now - self.swept < every:
            return
        self._relieve(now)
        self.swept = now
        for conn in self.waiting.copy().values():
            self._end_in_time(conn, now, latest)
        if broken := abort_stuck_connections(HOLD):
            log.warning("database said nothing", extra={"connections": broken, "seconds": HOLD})
        if len(self.busy) == self.cfg.threads and now - self.taken > STUCK:
            self._refuse()

    def _end_in_time(self, conn: Connection, now: float, latest: float) -> None:
        """End `conn` where its time is over; one that is idle, where it is the `latest` at all."""
        end, over = conn.since + self.times[conn.stage], conn.stage == IDLE and latest <= now
        if (end > now and not over) or not self.waiting.pop(conn.fd, None):
            return
        # Out of the threads' reach now, so what is true of it stays true; what was said of its
        # stage may not.
        end = conn.since + self.times[conn.stage]
        if end > now and not (conn.stage == IDLE and latest <= now):
            self._wait(conn)
        elif conn.stage in (HEAD, BODY):
            early_errors.write_error(conn, 408, "", "")
            self._finish(conn)
        elif conn.stage == IDLE and _has_spoken(conn):
            self._wait(conn)
        else:
            self._close(conn)

    def _relieve(self, now: float) -> None:
        """Have others step in where one of the threads that serve is held up, or all of them
        wait more than they work.
        """
        serving = [since for number, since in self.busy.copy().items() if number < BASE_THREADS]
        used, self.used = self.used, time.process_time()
        waiting = len(serving) == BASE_THREADS and self.used - used < WAITING * (now - self.swept)
        held_up = waiting or any(now - since > HELD_UP for since in serving)
        self.relief.set() if held_up else self.relief.clear()

    def _refuse(self) -> None:
        """Refuse the requests that wait: no thread has come free for STUCK seconds."""
        for fd, _ in self.epoll.poll(0):
            conn = self.waiting.pop(fd, None)
            if conn and self._next(conn, conn.receive):
                early_errors.send_error(conn, Overloaded())
                self._finish(conn)


def _has_spoken(conn: Connection) -> bool:
    """Whether a request waits in `conn` for a thread to come free."""
    try:
        return bool(conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
