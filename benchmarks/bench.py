"""How fast is the service? `make bench` measures each kind of request.

PostgreSQL and gunicorn run with the settings of production, and a driver runs in its own process.
Parameters, with their defaults, come from the environment: SECONDS (5) for each kind of request,
CONNECTIONS (32), and STUDENTS (100000) and COURSES (1000) of the demo data. docs/performance.md
explains them and the output.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import limit, processes
from benchmarks.driver import drive
from benchmarks.inside import Service
from benchmarks.stage import load, postgres, run_command
from benchmarks.workloads import EACH, WORKS, World, requests
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server

SECONDS = float(os.environ.get("SECONDS") or 5)
CONNECTIONS, STUDENTS, COURSES = (
    int(os.environ.get(name) or default)
    for name, default in (("CONNECTIONS", 32), ("STUDENTS", 100_000), ("COURSES", 1000))
)
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
ROW = "{:<12}{:>10}{:>9}{:>9}{:>9}{:>15}{:>11}{:>12}{:>8}"


def main() -> int:
    """Run the benchmark. Returns the exit status: 1 if a response had a wrong status, else 0."""
    with (
        postgres("shared_buffers=256MB", "max_wal_size=4GB") as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        load(server.url, STUDENTS, COURSES, EACH)
        token = run_command(
            server.url, "api-keys", "create", "--name", "benchmark", "--scope", "admin"
        )
        settings = {"DATABASE_URL": server.url, "AUTH": "required"}
        began = time.perf_counter()
        with Gunicorn({**settings, "WEB_CONCURRENCY": "1"}, log=Path(folder, "one")):
            start = time.perf_counter() - began
        context = multiprocessing.get_context("spawn")
        with (
            Gunicorn(settings, log=Path(folder, "log")) as service,
            ProcessPoolExecutor(1, context) as driver,
        ):
            failed = report(server, service, token, driver)
            memory = sorted(
                processes.resident(worker) for worker in processes.children(service.process.pid)
            )
        print(
            f"\none worker gives its first response {start:.2f} s after the command; memory of a "
            f"worker {memory[0]:.0f} to {memory[-1]:.0f} MB"
        )
    return int(failed > 0)


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


def report(server: Server, service: Gunicorn, token: str, driver: Executor) -> int:
    """Print a row for each kind of request, then the limit of PostgreSQL.

    Returns the number of responses with a wrong status.
    """
    world = world_of(service, token)
    inside = Service(server.url)
    inside.record_statements()
    database = int(Path(server.home, "data", "postmaster.pid").read_text().split()[0])
    print(
        f"{STUDENTS} students, {COURSES} courses, {STUDENTS * EACH} enrollments; {CONNECTIONS} "
        "connections (bulk: 1)\n"
    )
    print(ROW.format(*HEAD), flush=True)
    failed, rates = 0, {}
    for name, work in WORKS.items():
        statements = counted(inside, name, world)
        run = partial(driver.submit, drive, service.port, token, name, world, CONNECTIONS)
        warm = run(SECONDS * WARM_UP, COUNTED).result()
        before = processes.cpu(service.process.pid), processes.cpu(database)
        done = run(SECONDS, COUNTED + len(warm.took)).result()
        after = processes.cpu(service.process.pid), processes.cpu(database)
        count, took = len(done.took), sorted(done.took)
        app, postgresql = ((a - b) / count * 1e6 for a, b in zip(after, before, strict=True))
        failed += done.failed + warm.failed
        rates[name] = count / done.seconds
        times = (f"{took[count // 2] * 1000:.1f}", f"{took[int(count * 0.99)] * 1000:.1f}")
        costs = (f"{app:.0f}", f"{postgresql:.0f}", f"{done.cpu / count * 1e6:.0f}")
        print(
            ROW.format(
                name, f"{rates[name]:.0f}", *times, *costs, statements, done.failed + warm.failed
            ),
            flush=True,
        )
        if work.enrollments > 1:
            print(f"{'':<12}{rates[name] * work.enrollments:>10.0f} enrollments per second")
    print("\nthe limit: the same statements sent by pgbench, prepared")
    for name in limit.VALUES:
        tps = limit.transactions(
            server, limit.script(name, inside, world), world, CONNECTIONS, SECONDS
        )
        print(
            f"{name:<12}{tps:>10.0f} per second; the service reaches {rates[name] / tps:.0%} of it",
            flush=True,
        )
    return failed


def counted(inside: Service, name: str, world: World) -> int:
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
