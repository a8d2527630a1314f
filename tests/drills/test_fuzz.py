"""A hundred thousand malformed requests."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

from tests.deploy.client import ask
from tests.drills import size
from tests.drills.malformed import MalformedRequests
from tests.drills.storm import audit
from tests.drills.test_clients import dial

SEED = int(os.environ.get("SEED") or time.time())
MOST = 110  # MB resident


class Fuzzer(threading.Thread):
    """Sends malformed requests over one connection, dialled anew where the service closes it."""

    def __init__(self, up, to, document, number, count):
        super().__init__()
        self.up, self.to, self.count = up, to, count
        self.requests = iter(MalformedRequests(document, f"{SEED}-{number}"))
        self.statuses, self.wrong = Counter(), []
        self.wire = None

    def run(self):
        for _ in range(self.count):
            method, request = next(self.requests)
            status = self._status(method, request)
            self.statuses[status] += 1
            if not 200 <= status < 500:
                self.wrong.append((status, request[:2000]))
        if self.wire:
            self.wire.close()

    def _status(self, method, request):
        """The status of the response, or 0 if none came."""
        self.wire = self.wire or dial(self.up, self.to)
        try:
            self.wire.sendall(request)
            answer = self.wire.recv(65536)
            while b"\r\n\r\n" not in answer:
                answer += (part := self.wire.recv(65536))
                if not part:
                    return self._anew(0)
            head, _, body = answer.partition(b"\r\n\r\n")
            status, lower = int(head[9:12]), head.lower()
            length = (
                int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
                if b"content-length:" in lower
                else 0
            )
            while method != "HEAD" and status != 304 and len(body) < length:
                body += (part := self.wire.recv(65536))
                if not part:
                    return self._anew(0)
            return (
                self._anew(status)
                if b"connection: close" in lower or b"transfer-encoding" in lower
                else status
            )
        except (OSError, ValueError):
            return self._anew(0)

    def _anew(self, status):
        self.wire.close()
        self.wire = None
        return status


def resident(pid):
    """Resident megabytes."""
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) / 1024


def test_malformed_requests(up, record_property):
    """Fails if an unread body ends a kept connection, or if a list remembers every address."""
    print(f"SEED={SEED}")
    up.reload()
    workers = up.worker_pids()
    document = ask(up, "GET", "/openapi.json").json
    for i in range(60):  # so that requests find somebody: they name ids from 1 to 60
        assert ask(up, "POST", "/students", {"name": f"Student {i}"}).status == 201
    sizes, statuses, wrong = [], Counter(), []
    for half in range(2):
        fuzzers = [
            Fuzzer(
                up, ("nginx", "gunicorn")[i % 2], document, 8 * half + i, size(2_000, 100_000) // 16
            )
            for i in range(8)
        ]
        for fuzzer in fuzzers:
            fuzzer.start()
        for fuzzer in fuzzers:
            fuzzer.join()
            statuses += fuzzer.statuses
            wrong += fuzzer.wrong
        sizes.append([resident(pid) for pid in workers])
    record_property("requests", statuses.total())
    record_property(
        "answers", " ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    )
    record_property("seed", SEED)
    record_property(
        "MB resident at half and at the end", f"{max(sizes[0]):.1f}, {max(sizes[1]):.1f}"
    )
    assert wrong == []
    assert {200, 201, 204, 400, 404, 422} <= statuses.keys()
    assert up.worker_pids() == workers
    assert max(sizes[1]) < MOST
    assert max(after - before for before, after in zip(*sizes, strict=True)) < 3
    audit(up)
