"""Does anything get slower as a school grows? `make bench-growth`: every route on a big database
and on one of a hundredth.

SIZE (10000000) enrollments, a tenth as many students and a hundredth as many courses; TIMES (60)
requests of each kind, in turns; the small one is a PART (100th) of it. ONLY measures the kinds
whose label has this in it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field

import psycopg2

from benchmarks import lists, routes
from benchmarks.inside import Sent, call, environ
from benchmarks.lists import Case
from benchmarks.plans import scanned
from benchmarks.side import EACH, LINE, Side
from benchmarks.stage import postgres

SIZE, PART, TIMES = (
    int(os.environ.get(name) or default)
    for name, default in (("SIZE", 10_000_000), ("PART", 100), ("TIMES", 60))
)
ONLY = os.environ.get("ONLY", "")
MOST = 1.2  # times the small one's time, or statements
WARM = 3  # requests of a kind before those that count: statements are prepared, pages read
AGAIN = 3  # rounds for a kind that looks slow: these machines are noisy


@dataclass
class Measured:
    """What requests of one kind cost on one side: seconds of each, and the statements of the
    last.
    """

    case: Case
    side: Side
    took: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def once(self) -> None:
        """One request."""
        method, target, body = self.case.make(self.side)
        asked = environ(method, target, body)
        self.side.service.sent.clear()
        began = time.perf_counter()
        answer = call(self.side.service.app, asked)
        self.took.append(time.perf_counter() - began)
        self.sent = list(self.side.service.sent)
        assert answer.status == self.case.status, (method, target, body, answer)

    @property
    def p50(self) -> float:
        """Microseconds."""
        return statistics.median(self.took) * 1e6


def compare(big: Measured, small: Measured) -> float:
    """How many times the small one's time the big one takes; asked in turns, so that what
    disturbs one disturbs the other.
    """
    for _ in range(WARM):
        big.once()
        small.once()
    for _ in range(AGAIN):
        big.took.clear()
        small.took.clear()
        for i in range(TIMES):
            for one in (big, small) if i % 2 else (small, big):
                one.once()
        if big.p50 <= MOST * small.p50:
            break
    return big.p50 / small.p50


def verdict(big: Measured, small: Measured, ratio: float) -> str:
    """What is wrong, or `ok`."""
    with big.side.service.cursor() as cursor:
        faults = [f"scans {table}" for table in scanned(cursor, big.sent)]
    if ratio > MOST:
        faults.append("slower")
    if len(big.sent) > MOST * len(small.sent):
        faults.append("more statements")
    if big.case.excepted:
        return f"excepted{': ' if faults else ''}{', '.join(faults)}"
    return ", ".join(faults) or "ok"


def database(url: str, name: str) -> str:
    """The address of a new database on the server."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return url.replace("/postgres", f"/{name}").replace(f"//{name}", "//postgres")


def main() -> int:
    if (least := 2 * EACH * (WARM + AGAIN * TIMES + LINE + 2)) > SIZE // PART:
        sys.exit(
            f"A PART of SIZE must be at least {least} enrollments: requests of a kind, {TIMES} "
            "a round, have a student each."
        )
    # Memory for all of it: what is compared is the work, not how much of a database is on the disk.
    with postgres(f"shared_buffers={max(128, SIZE // 1600)}MB", "max_wal_size=8GB") as server:
        sides = []
        for name, size in (("big", SIZE), ("small", SIZE // PART)):
            began = time.perf_counter()
            sides.append(Side(database(server.url, name), size))
            print(
                f"{name:<6}{size:>11} enrollments, loaded in {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            sides[-1].service.listen()
        return report(*sides)


def report(big: Side, small: Side) -> int:
    """Print a line for each kind of request; 1 where one grows."""
    print(f"{'request':<68}{'us small':>9}{'us big':>9}{'ratio':>7}{'statements':>12}  verdict")
    bad = 0
    pairs = [
        {
            c.label: c
            for kind in (lists.whole, lists.within, routes.others)
            for c in kind(side)
            if ONLY in c.label
        }
        for side in (big, small)
    ]
    # on the small one a list may have one page
    both = [label for label in pairs[0] if label in pairs[1]]
    for label in both:
        measured = [
            Measured(cases[label], side) for cases, side in zip(pairs, (big, small), strict=True)
        ]
        ratio = compare(*measured)
        said = verdict(*measured, ratio)
        bad += not said.startswith(("ok", "excepted"))
        one, other = measured
        counts = f"{len(other.sent)}/{len(one.sent)}"
        print(
            f"{label:<68}{other.p50:>9.0f}{one.p50:>9.0f}{ratio:>7.2f}{counts:>12}  {said}",
            flush=True,
        )
    print(f"{len(both)} kinds of requests, {bad} that grow")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
