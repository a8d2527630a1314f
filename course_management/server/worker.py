"""A gunicorn worker whose threads wait for the connections themselves.

The main thread accepts connections and supervises (`supervisor.py`); the threads serve
(`request_threads.py`). The server's part of a request costs a third less than with gthread
(docs/decisions/0010-worker.md).
"""

from __future__ import annotations

import selectors
import socket
import time

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from course_management.server import worker_slots
from course_management.server.connection import Connection
from course_management.server.request_threads import RequestThreads
from course_management.server.supervisor import Supervisor

SUPERVISE_EVERY_SECONDS = 0.25
SUPERVISE_STOPPING_EVERY_SECONDS = 0.1
# Time in which a worker with fewer connections may accept a new one first.
YIELD_ACCEPT_SECONDS = 0.001
# Time in which a stopping worker accepts the connections that are already in the backlog.
LAST_ACCEPTS_SECONDS = 0.5
# The kernel accepts bytes of an answer while it holds fewer than this many unsent bytes of the
# connection. The rest of the answer, and the requests behind it, wait in this process, which limits
# the memory for them.
KERNEL_UNSENT_BYTES = 2**17


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker with other threads.

    It overrides `run` and `accept` of gunicorn's ThreadWorker on purpose. All names that it adds to
    gunicorn's class begin with `cm_`, so that they do not collide with those of a later gunicorn.
    `cm_slot` is set by `hooks.pre_fork`.
    """

    alive: bool
    cm_slot: int

    def run(self) -> None:
        """Accept and supervise until the worker is told to stop; then finish open requests."""
        # gunicorn looks up about twenty settings for each request. As attributes of the instance
        # they are found without calls.
        self.cfg.__dict__.update(
            {name: setting.get() for name, setting in self.cfg.settings.items()}
        )
        self.cm_threads = RequestThreads(self, self.cm_publish_count)
        self.cm_supervisor = Supervisor(self.cm_threads, self.cfg.threads, self.cfg.keepalive)
        for listener in self.sockets:
            if listener.family != socket.AF_UNIX:  # accepted connections inherit it
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_UNSENT_BYTES
                )
        self.poller.register(
            self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks
        )
        self.cm_threads.start(self.cfg.threads)
        self.cm_publish_count(0)
        while self.alive and self.is_parent_alive():
            self.set_accept_enabled(len(self.cm_threads.open) < self.worker_connections)
            self.cm_wait(SUPERVISE_EVERY_SECONDS)
        self.cm_stop()

    def accept(self, listener: socket.socket) -> bool:
        """Accept a connection and return whether there was one.

        All workers are woken by a new connection. Without the pause, one of them may accept all
        connections that arrive together, while the others have none.
        """
        if any(0 < count <= len(self.cm_threads.open) for count in worker_slots.connection_counts):
            time.sleep(YIELD_ACCEPT_SECONDS)
        try:
            sock, address = listener.accept()
        except OSError:  # another worker has accepted it, or the client has closed it
            return False
        self.cm_threads.add(Connection(self.cfg, sock, address, listener.getsockname()))
        return True

    def cm_wait(self, seconds: float, close_idle_after: float = float("inf")) -> None:
        """Wait for a connection to accept, at most `seconds`, and supervise as often."""
        self.notify()
        self.wait_for_and_dispatch_events(timeout=seconds)
        self.cm_supervisor.check(seconds, close_idle_after)

    def cm_stop(self) -> None:
        """Accept the backlog, answer the requests that are open or on their way, and close."""
        self.set_accept_enabled(False)
        self.cm_publish_count(0)
        now = time.monotonic()
        for listener in self.sockets:
            while (  # bounded: a flood of connections must not keep the worker alive
                len(self.cm_threads.open) < self.worker_connections
                and time.monotonic() < now + LAST_ACCEPTS_SECONDS
                and self.accept(listener)
            ):
                pass
        # A client may be sending a request on an open connection just now. It is answered, and
        # the answer says that the connection ends.
        close_idle_after = now + STOP_KEEPALIVE_LINGER
        while self.cm_threads.open and time.monotonic() < now + self.cfg.graceful_timeout:
            self.cm_wait(SUPERVISE_STOPPING_EVERY_SECONDS, close_idle_after)
        for listener in self.sockets:
            listener.close()

    def cm_publish_count(self, count: int) -> None:
        """Tell the other workers the number of open connections, unless this worker is stopping:
        then it does not compete for new ones.
        """
        worker_slots.connection_counts[self.cm_slot] = count + 1 if self.alive else 0
