"""How a worker of gunicorn hands requests to its threads.

In gunicorn's gthread one thread waits for all connections, hands each request to a pool, and gets it back through a pipe: every
handing-over makes a thread wait for the interpreter. Here the threads wait for the connections themselves, on one epoll that
wakes one of them for each request; the main thread accepts, closes what is idle, has threads step in for those that are held up,
and refuses what nobody comes to serve. It takes
a third off what the server costs a request (docs/decisions/0010-worker.md).
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from course_management import http1
from course_management.config import SERVING
from course_management.connections import break_off
from course_management.errors import Overloaded
from course_management.logs import log
from course_management.shared import connections
from course_management.web import wire

READ_WAIT = 10  # seconds a thread waits for the rest of a request that has begun, or for a client to take its answer
DRAIN = 2  # seconds a closed connection may stay half open, so that its last answer is not cut off (RFC 9112 section 9.6)
HOLD = 12.0  # seconds a request may hold its connection to the database: more than a statement may take, or a wait for locks
UNREAD = 2**21  # bytes of an unwanted body that are read all the same, so that the connection goes on; nginx lets in less
GIVE_WAY = 0.001  # seconds in which a worker with fewer connections may take a new one first
HELD_UP = 0.25  # seconds a thread may take for a request before others step in, and between looking whether one does
IDLE = 0.15  # of a core: where all that serve are busy and use less, they wait, and others may serve
STUCK = 2.0  # seconds without any thread coming free, after which the requests that wait are refused

_READY = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLONESHOT", 0)
_TIMEOUT = struct.pack("ll", READ_WAIT, 0)  # struct timeval


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker whose threads take their requests from epoll."""

    alive: bool

    def init_process(self) -> None:
        self.epoll = select.epoll()
        self.conns: dict[int, TConn] = {}
        # The connections nobody serves: whoever pops one owns it (a dict's pop is atomic).
        self.waiting: dict[int, TConn] = {}
        self.busy: dict[int, float] = {}  # by number of a thread: when it took what it serves
        self.relief = threading.Event()  # set while those beyond SERVING shall serve
        self.taken = self.swept = time.monotonic()
        self.used = time.process_time()
        # gunicorn asks for some twenty settings a request, and finds each in three steps: as attributes they are found in one.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def run(self) -> None:
        """The main thread: accept, close, refuse, until told to stop; then wait for what is being served."""
        for number in range(self.cfg.threads):
            threading.Thread(target=self._serve, args=(number,), daemon=True).start()
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        self._tell()
        while self.alive and self.is_parent_alive():
            self.set_accept_enabled(len(self.conns) < self.worker_connections)
            self._look_after(every=HELD_UP)
        self.set_accept_enabled(False)
        self._tell()
        for listener in self.sockets:  # who has been let in already is served
            while self.accept(listener):
                pass
        now = time.monotonic()
        # Who has a connection open may be sending a request just now: it is answered, and told that the connection ends.
        linger, end = now + STOP_KEEPALIVE_LINGER, now + self.cfg.graceful_timeout
        while self.conns and time.monotonic() < end:
            self._look_after(every=0.1, latest=linger)
        for listener in self.sockets:
            listener.close()

    def accept(self, listener: socket.socket) -> bool:
        """Take a new connection, where there is one; a thread serves it as soon as it says something.

        All workers are told of it. Left to chance, one of them may get all that come together, and the others serve nobody.
        """
        if any(0 < count <= len(self.conns) for count in connections):
            time.sleep(GIVE_WAY)
        try:
            sock, address = listener.accept()
        except OSError:  # another worker took it, or the client has left
            return False
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, _TIMEOUT)
        conn = TConn(self.cfg, sock, address, listener.getsockname())
        conn.fd, conn.draining = sock.fileno(), False
        conn.environ = http1.environ_of(self.cfg, address, conn.server)
        self.conns[conn.fd] = conn
        self._tell()
        self._wait(conn, self.cfg.keepalive, self.epoll.register)
        return True

    def handle(self, conn: TConn) -> bool:
        """Serve one request; whether the connection goes on."""
        request = None
        try:
            conn.init()
            conn.parser.mesg_class = http1.Request
            request = next(conn.parser)
            return bool(request) and self._keepalive_after(conn, self.handle_request(request, conn))
        except (NoMoreData, StopIteration):
            return False
        except OSError as error:  # the client has left, or let READ_WAIT pass
            if isinstance(error, BlockingIOError) and request is None:
                wire.write_error(conn.sock, 408, "Request Timeout", "")
        except Exception as error:
            self.handle_error(request, conn.sock, conn.client, error)
        return False

    def handle_request(self, request: http1.Request, conn: TConn) -> bool:
        """Send the answer of the application, in one packet; whether the connection may go on."""
        self.nr += 1
        self.alive = self.alive and self.nr < self.max_requests
        if request.awaits_continue:
            conn.sock.sendall(http1.CONTINUE)
        begun: list[Any] = []
        parts = self.wsgi(http1.environ(conn.environ, request), lambda *head: begun.extend(head))
        close = not self.alive or len(self.conns) > self.max_keepalived or request.should_close()
        try:
            message = http1.answer(request, begun[0], begun[1], parts, close=close)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        conn.sock.sendall(message)
        return not close

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection goes on; gunicorn ends it after 64 KiB, though it has just told the client that it does."""
        if keepalive and getattr(conn.parser.mesg.body.reader, "length", None) == 0:
            conn.parser.mesg = None  # read to its end, or there was none: gunicorn need not look for the rest, twice
            return True
        return keepalive and conn.parser.finish_body(deadline=time.monotonic() + READ_WAIT, max_bytes=UNREAD)

    def _serve(self, number: int) -> None:
        steps_in = number >= SERVING
        while True:
            if steps_in:
                self.relief.wait()
            for fd, _ in self.epoll.poll(HELD_UP if steps_in else None, 1):
                self.taken = self.busy[number] = time.monotonic()
                conn = self.waiting.pop(fd, None)
                try:
                    if conn:  # the main thread may have been faster
                        self._take(conn)
                finally:
                    del self.busy[number]

    def _take(self, conn: TConn) -> None:
        try:
            if conn.draining:
                self._drain(conn)
                return
            keep = self.handle(conn)
            while keep and conn.parser.unreader.buf.getvalue():  # the next request came with this one
                keep = self.handle(conn)
            self._wait(conn, self.cfg.keepalive, self.epoll.modify) if keep else self._finish(conn)
        except Exception:
            self.log.exception("A connection is given up.")
            self._close(conn)

    def _wait(self, conn: TConn, seconds: float, arm: Callable[[int, int], None]) -> None:
        """Leave `conn` to whoever finds it readable."""
        conn.timeout = time.monotonic() + seconds
        self.waiting[conn.fd] = conn
        arm(conn.fd, _READY)

    def _finish(self, conn: TConn) -> None:
        """Say that no answer follows, and close when the client has heard it."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
            return
        conn.draining = True
        self._wait(conn, DRAIN, self.epoll.modify)

    def _drain(self, conn: TConn) -> None:
        with contextlib.suppress(OSError):
            if conn.sock.recv(65536):
                self._wait(conn, conn.timeout - time.monotonic(), self.epoll.modify)
                return
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        fd = conn.fd
        if self.conns.get(fd) is conn:  # gunicorn may have closed the socket, and somebody else have its number
            del self.conns[fd]
            self._tell()
        conn.close()

    def _tell(self) -> None:
        """Have the other workers know how many connections there are here, while new ones are welcome."""
        connections[self.slot] = len(self.conns) + 1 if self.alive else 0

    def _look_after(self, every: float, latest: float = float("inf")) -> None:
        """Wait for something to do, `every` seconds at most; as often, close what is idle and refuse what waits in vain."""
        self.notify()
        self.wait_for_and_dispatch_events(timeout=every)
        now = time.monotonic()
        if now - self.swept < every:
            return
        self._relieve(now)
        self.swept = now
        for fd, conn in self.waiting.copy().items():
            if min(conn.timeout, latest) <= now and self.waiting.pop(fd, None):
                # Out of the threads' reach now, so what is true of it stays true.
                idle = min(conn.timeout, latest) <= now and not _has_spoken(conn)
                self._close(conn) if idle else self._wait(conn, self.cfg.keepalive, self.epoll.modify)
        if broken := break_off(HOLD):
            log.warning("database said nothing", extra={"connections": broken, "seconds": HOLD})
        if len(self.busy) == self.cfg.threads and now - self.taken > STUCK:
            self._refuse()

    def _relieve(self, now: float) -> None:
        """Have others step in where one of the threads that serve is held up, or all of them wait more than they work."""
        serving = [since for number, since in self.busy.copy().items() if number < SERVING]
        used, self.used = self.used, time.process_time()
        waiting = len(serving) == SERVING and self.used - used < IDLE * (now - self.swept)
        held_up = waiting or any(now - since > HELD_UP for since in serving)
        self.relief.set() if held_up else self.relief.clear()

    def _refuse(self) -> None:
        """Refuse the requests that wait: no thread has come free for STUCK seconds."""
        for fd, _ in self.epoll.poll(0):
            conn = self.waiting.pop(fd, None)
            if conn and conn.draining:
                self._drain(conn)
            elif conn:
                wire.refuse(conn.sock, Overloaded())
                self._finish(conn)


def _has_spoken(conn: TConn) -> bool:
    """Whether a request waits in `conn` for a thread to come free."""
    try:
        return bool(conn.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
