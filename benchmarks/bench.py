"""How fast is the service? `make bench` measures each kind of request.

PostgreSQL and gunicorn run with the settings of production, and a driver runs in its own process.
The requests about a term have a PostgreSQL and a gunicorn of their own, so that the others meet the
same data as without them. Parameters, with their defaults, come from the environment: SECONDS (5)
for each kind of request, CONNECTIONS (32), and STUDENTS (100000) and COURSES (1000) of the demo
data. With ONLY, it measures the kinds whose name contains one of these words. docs/performance.md
explains them and the output.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import limit, processes, term_school
from benchmarks.driver import drive
from benchmarks.inside import Service
from benchmarks.stage import load, make_key, postgres
from benchmarks.workloads import EACH, WORKS, TermWorld, World, requests
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server

SECONDS = float(os.environ.get("SECONDS") or 5)
CONNECTIONS, STUDENTS, COURSES = (
    int(os.environ.get(name) or default)
    for name, default in (("CONNECTIONS", 32), ("STUDENTS", 100_000), ("COURSES", 1000))
)
ONLY = (os.environ.get("ONLY") or "").split()
WARM_UP = 0.2  # of SECONDS, added before the measurement
# Requests sent to count statements. The first request on a connection sends more statements than
# later ones, so the statements of the last request are counted.
COUNTED = 2
HEAD = (
    "request",
    "per second",
    "p50 ms",
    "p99 ms",
    "us app",
    "us PostgreSQL",
    "us driver",
    "statements",
    "failed",
)
ROW = "{:<15}{:>10}{:>9}{:>9}{:>9}{:>15}{:>11}{:>12}{:>8}"


@dataclass(frozen=True)
class Stage:
    """A running service with its data: its database server and its key; and the same service inside
    this process, which counts statements.
    """

    server: Server
    service: Gunicorn
    token: str
    world: World | TermWorld
    inside: Service

    def cpu(self) -> tuple[float, float]:
        """The CPU seconds that the processes of the service and of PostgreSQL have used."""
        pid = Path(self.server.home, "data", "postmaster.pid").read_text().split()[0]
        return processes.cpu(self.service.process.pid), processes.cpu(int(pid))


@dataclass(frozen=True)
class Cost:
    """The requests per second of a kind, and the CPU microseconds of a request in the application
    and in PostgreSQL.
    """

    rate: float
    app: float
    postgresql: float


def main() -> int:
    """Run the benchmark. Returns the exit status: 1 if a response had a wrong status, else 0."""
    settings = ("shared_buffers=256MB", "max_wal_size=4GB")
    with (
        postgres(*settings) as server,
        postgres(*settings) as term_server,
        tempfile.TemporaryDirectory() as folder,
    ):
        load(server.url, STUDENTS, COURSES, EACH)
        began = time.perf_counter()
        with Gunicorn(
            {"DATABASE_URL": server.url, "AUTH": "required", "WEB_CONCURRENCY": "1"},
            log=Path(folder, "one"),
        ):
            start = time.perf_counter() - began
        term_world = term_school.make(term_server.url, STUDENTS, COURSES)
        context = multiprocessing.get_context("spawn")
        with (
            running(server, Path(folder, "log"), world_of) as plain,
            running(term_server, Path(folder, "term"), lambda *_: term_world) as of_term,
            ProcessPoolExecutor(1, context) as driver,
        ):
            failed = report(plain, of_term, driver)
            memory = sorted(
                processes.resident(worker)
                for worker in processes.children(plain.service.process.pid)
            )
        print(
            f"\none worker gives its first response {start:.2f} s after the command; memory of a "
            f"worker {memory[0]:.0f} to {memory[-1]:.0f} MB"
        )
    return int(failed > 0)


@contextmanager
def running(
    server: Server, log: Path, make: Callable[[Gunicorn, str], World | TermWorld]
) -> Iterator[Stage]:
    """A service on the database of `server` until the block ends. `make` returns its data, with the
    service and its key.
    """
    token = make_key(server.url)
    with Gunicorn({"DATABASE_URL": server.url, "AUTH": "required"}, log=log) as service:
        world, inside = make(service, token), Service(server.url)
        inside.record_statements()
        yield Stage(server, service, token, world, inside)


def world_of(service: Gunicorn, token: str) -> World:
    """The demo data with two new courses: a full one, and one with seats for all students."""

    def course(name: str, capacity: int) -> int:
        fields = {"name": name, "level": "senior", "capacity": capacity}
        return int(
            service.request("POST", "/courses", fields, {"Authorization": f"Bearer {token}"}).json[
                "id"
            ]
        )

    return World(STUDENTS, COURSES, course("Full", 0), course("Roomy", STUDENTS))


def report(plain: Stage, of_term: Stage, driver: Executor) -> int:
    """Print a row for each kind of request, then the limit of PostgreSQL.

    Returns the number of responses with a wrong status.
    """
    sizes = f"{STUDENTS} students, {COURSES} courses, {STUDENTS * EACH} enrollments"
    courses = term_school.courses_of_term(COURSES)
    print(f"{sizes}; {CONNECTIONS} connections (bulk, eligibility: 1)")
    print(f"term: {STUDENTS} students, {courses} courses, {STUDENTS * EACH} enrollments\n")
    print(ROW.format(*HEAD), flush=True)
    failed, costs = 0, dict[str, Cost]()
    chosen = {name: work for name, work in WORKS.items() if not ONLY or is_among(name, ONLY)}
    for name, work in chosen.items():
        costs[name], wrong = measure(name, of_term if work.has_term else plain, driver)
        failed += wrong
        if work.enrollments > 1:
            print(f"{'':<15}{costs[name].rate * work.enrollments:>10.0f} enrollments per second")
        if work.beside in costs:
            print(f"{'':<15}{compared(costs[name], costs[work.beside])} of {work.beside}")
    print("\nthe limit: the same statements sent by pgbench, prepared")
    assert isinstance(plain.world, World)
    for name in limit.VALUES.keys() & chosen.keys():
        script = limit.script(name, plain.inside, plain.world)
        tps = limit.transactions(plain.server, script, plain.world, CONNECTIONS, SECONDS)
        reached = costs[name].rate / tps
        print(
            f"{name:<15}{tps:>10.0f} per second; the service reaches {reached:.0%} of it",
            flush=True,
        )
    return failed


def is_among(name: str, words: Iterable[str]) -> bool:
    """Whether a name contains one of these words."""
    return any(word in name for word in words)


def measure(name: str, stage: Stage, driver: Executor) -> tuple[Cost, int]:
    """Print the row of a kind of request. Returns its cost, and the number of responses with a
    wrong status.
    """
    statements = counted(stage.inside, name, stage.world)
    run = partial(
        driver.submit, drive, stage.service.port, stage.token, name, stage.world, CONNECTIONS
    )
    warm = run(SECONDS * WARM_UP, COUNTED).result()
    before = stage.cpu()
    done = run(SECONDS, COUNTED + len(warm.took)).result()
    after = stage.cpu()
    count, took = len(done.took), sorted(done.took)
    cpu = [(a - b) / count * 1e6 for a, b in zip(after, before, strict=True)]
    cost, failed = Cost(count / done.seconds, *cpu), done.failed + warm.failed
    times = (f"{took[count // 2] * 1000:.1f}", f"{took[int(count * 0.99)] * 1000:.1f}")
    costs = (*(f"{one:.0f}" for one in cpu), f"{done.cpu / count * 1e6:.0f}")
    print(ROW.format(name, f"{cost.rate:.0f}", *times, *costs, statements, failed), flush=True)
    return cost, failed


def compared(cost: Cost, plain: Cost) -> str:
    """How many times the CPU time of `plain` a request takes."""
    both = (cost.app + cost.postgresql) / max(plain.app + plain.postgresql, 1)
    return f"{both:>10.2f} times the CPU time (app and PostgreSQL together)"


def counted(inside: Service, name: str, world: World | TermWorld) -> int:
    """The number of statements of a request besides BEGIN and COMMIT.

    Sends the first COUNTED requests of the kind `name`. The measurement must skip these.
    """
    asked = requests(name, world)
    for _ in range(COUNTED):
        inside.sent.clear()
        answer = inside.ask(*next(asked))
        assert answer.status == WORKS[name].status, answer
    return len(inside.sent)


if __name__ == "__main__":
    sys.exit(main())
