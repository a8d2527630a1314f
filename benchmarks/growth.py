"""Does anything get slower as a school grows? `make bench-growth` compares two databases.

Parameters, with their defaults, come from the environment. The big database has SIZE (10000000)
enrollments, a tenth as many students and a hundredth as many courses; the small one has SIZE / PART
(100) enrollments. Each round sends TIMES (60) requests of each kind to both, in turns. ONLY (empty)
selects the kinds whose label contains this text. docs/performance.md explains the output.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field

import psycopg2

from benchmarks import catalog, external_ids, lists, records, routes, terms
from benchmarks.inside import Sent, call, environ
from benchmarks.lists import Case
from benchmarks.plans import scanned
from benchmarks.side import EACH, WAITLISTED, Side
from benchmarks.stage import postgres

SIZE, PART, TIMES = (
    int(os.environ.get(name) or default)
    for name, default in (("SIZE", 10_000_000), ("PART", 100), ("TIMES", 60))
)
ONLY = os.environ.get("ONLY", "")
MAX_RATIO = 1.2  # of the times, and of the numbers of statements
WARM_UP = 3  # requests of a kind before the measurement: they prepare statements and read pages
MAX_ROUNDS = 3  # a kind that looks slow is measured again, because the machine may have been busy


@dataclass
class Measured:
    """The cost of one kind of request on one side: the seconds of each request, and the statements
    of the request that sent the most.
    """

    case: Case
    side: Side
    took: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def once(self) -> None:
        """Send one request. Raises AssertionError if its status is wrong."""
        method, target, body = self.case.make(self.side)
        asked = environ(method, target, body)
        self.side.service.sent.clear()
        began = time.perf_counter()
        answer = call(self.side.service.app, asked)
        self.took.append(time.perf_counter() - began)
        if len(self.side.service.sent) >= len(self.sent):
            self.sent = list(self.side.service.sent)
        assert answer.status == self.case.status, (method, target, body, answer)

    @property
    def p50(self) -> float:
        """The median time in microseconds."""
        return statistics.median(self.took) * 1e6


# `records` is last: its holds would refuse the requests of the others.
KINDS = (
    *(lists.whole, lists.within, routes.others, external_ids.external_ids, catalog.catalog),
    *(terms.terms, records.records),
)


def compare(big: Measured, small: Measured) -> float:
    """The time on the big side divided by the time on the small side.

    The requests go to both in turns, so that other load on the machine affects both alike.
    """
    for _ in range(WARM_UP):
        big.once()
        small.once()
    big.sent, small.sent = [], []
    for _ in range(MAX_ROUNDS):
        big.took.clear()
        small.took.clear()
        for i in range(TIMES):
            for one in (big, small) if i % 2 else (small, big):
                one.once()
        if big.p50 <= MAX_RATIO * small.p50:
            break
    return big.p50 / small.p50


def verdict(big: Measured, small: Measured, ratio: float) -> str:
    """The faults of a kind of request, or `ok`."""
    with big.side.service.cursor() as cursor:
        faults = [f"scans {table}" for table in scanned(cursor, big.sent)]
    if ratio > MAX_RATIO:
        faults.append("slower")
    if len(big.sent) > MAX_RATIO * len(small.sent):
        faults.append("more statements")
    if big.case.excepted:
        return f"excepted{': ' if faults else ''}{', '.join(faults)}"
    return ", ".join(faults) or "ok"


def database(url: str, name: str) -> str:
    """Create the database `name` on the server at `url`; return its address."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return url.replace("/postgres", f"/{name}").replace(f"//{name}", "//postgres")


def main() -> int:
    """Run the benchmark. Returns the exit status: 1 if a kind of request gets slower, else 0."""
    if (least := 2 * EACH * (WARM_UP + MAX_ROUNDS * TIMES + WAITLISTED + 2)) > SIZE // PART:
        sys.exit(
            f"SIZE / PART must be at least {least} enrollments: with TIMES={TIMES}, each request "
            "of a kind needs another student."
        )
    # PostgreSQL has memory for all data. With less, the comparison would measure the disk.
    with postgres(f"shared_buffers={max(128, SIZE // 1600)}MB", "max_wal_size=8GB") as server:
        sides = []
        for name, size in (("big", SIZE), ("small", SIZE // PART)):
            began = time.perf_counter()
            sides.append(Side(database(server.url, name), size))
            print(
                f"{name:<6}{size:>11} enrollments, loaded in {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            sides[-1].service.record_statements()
        return report(*sides)


def report(big: Side, small: Side) -> int:
    """Print a row for each kind of request. Returns 1 if a kind gets slower, else 0."""
    print(f"{'request':<68}{'us small':>9}{'us big':>9}{'ratio':>7}{'statements':>12}  verdict")
    bad = 0
    pairs = [
        {c.label: c for kind in KINDS for c in kind(side) if ONLY in c.label}
        for side in (big, small)
    ]
    # A list with several pages on the big side may have only one on the small side.
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
    print(f"{len(both)} kinds of requests, {bad} of them get slower")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
