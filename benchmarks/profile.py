"""Where does the time of a request go? `make profile WORK=list`, in this process, without a server.

Parameters, with their defaults, come from the environment. WORK ("list mine enroll") is one kind of
request of workloads.py, or several separated by spaces. They run in BATCHES (20) of TIMES (200)
requests. STUDENTS (10000) and COURSES (800) are the size of the demo data.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.bench import COUNTED, counted
from benchmarks.inside import Service, call, environ
from benchmarks.stage import load, postgres, run_command
from benchmarks.workloads import EACH, WORKS, World, requests

STUDENTS, COURSES, BATCHES, TIMES = (
    int(os.environ.get(name) or default)
    for name, default in (("STUDENTS", 10_000), ("COURSES", 800), ("BATCHES", 20), ("TIMES", 200))
)
WORK = (os.environ.get("WORK") or "list mine enroll").split()
SHOWN_FUNCTIONS = 15
PYTHON = "Python"
# The first pattern that matches a function gives its layer. It is compared with the file of the
# function and its name.
LAYERS = {
    r"course_management/(\S+)\.py": r"ours: \1",
    "psycopg2": "psycopg2",
    "site-packages/sqlalchemy|flask_sqlalchemy": "SQLAlchemy",
    "site-packages/(flask|werkzeug)": "Flask and Werkzeug",
    "site-packages/marshmallow": "marshmallow",
    "site-packages/prometheus_client": "prometheus_client",
    "orjson": "orjson",
    "/logging/": "logging",
    "benchmarks": "the benchmark itself",
    "": PYTHON,
}


def main() -> int:
    """Print the cost of each kind of request in WORK."""
    if unknown := [name for name in WORK if name not in WORKS]:
        sys.exit(f"WORK must be some of {', '.join(WORKS)}, not {', '.join(unknown)}.")
    with postgres("shared_buffers=256MB") as server:
        load(server.url, STUDENTS, COURSES, EACH)
        token = run_command(
            server.url, "api-keys", "create", "--name", "benchmark", "--scope", "admin"
        )
        service, guarded = Service(server.url), Service(server.url, auth="required")
        service.record_statements()
        made = [
            service.ask(
                "POST", "/courses", {"name": name, "level": "senior", "capacity": capacity}
            ).json["id"]
            for name, capacity in (("Full", 0), ("Roomy", STUDENTS))
        ]
        world = World(STUDENTS, COURSES, *made)
        for name in WORK:
            statements = counted(service, name, world)
            print(f"{name}: {statements} statements besides BEGIN and COMMIT")
            report(guarded, token, name, world)
    return 0


def report(service: Service, token: str, name: str, world: World) -> None:
    """Print the cost of a request of the kind `name`, by layer and by function."""
    source, times = requests(name, world), max(2, TIMES // max(1, WORKS[name].enrollments // 10))
    for _ in range(COUNTED):
        next(source)  # `counted` has sent these

    def batch() -> Callable[[], None]:
        asked = [environ(*next(source), token=token) for _ in range(times)]

        def ask() -> None:
            for one in asked:
                answer = call(service.app, one)
                assert answer.status == WORKS[name].status, answer

        return ask

    batch()()
    costs = sorted(cost(batch()) / times for _ in range(BATCHES))
    print(
        f"  CPU of a request: {costs[0]:.0f} us at best, {statistics.median(costs):.0f} us in "
        f"the median of {BATCHES} batches"
    )
    profile = cProfile.Profile(time.thread_time)  # CPU time, without the wait for PostgreSQL
    profile.runcall(batch())
    spent = list(charged(profile))
    # The profiler slows everything down, so its times are scaled to the time without it.
    scale = statistics.median(costs) / sum(seconds for _, _, seconds in spent)
    table("layer", totals((name, seconds * scale) for name, _, seconds in spent))
    table(
        "function, by itself",
        totals((f"{name}  {function}", seconds * scale) for name, function, seconds in spent)[
            :SHOWN_FUNCTIONS
        ],
    )


def charged(profile: cProfile.Profile) -> Iterator[tuple[str, str, float]]:
    """The layer of each function, its name, and the seconds spent in it.

    Functions that are built into Python count for the layers that call them.
    """
    # missing in typeshed
    functions: Any = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for (file, _, function), (_, _, own, _, callers) in functions.items():
        name = layer(file, function)
        if file == "~" and name == PYTHON and callers:
            for (caller, _, called_by), (_, _, seconds, _) in callers.items():
                yield layer(caller, called_by), function, seconds
        else:
            yield name, function, own


def cost(ask: Callable[[], None]) -> float:
    """CPU microseconds that this thread spends in `ask`."""
    began = time.thread_time()
    ask()
    return (time.thread_time() - began) * 1e6


def layer(file: str, function: str) -> str:
    """The layer of a function."""
    for pattern, name in LAYERS.items():
        if found := re.search(pattern, f"{file} {function}"):
            return found.expand(name)
    raise AssertionError("unreachable")


def totals(pairs: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The sums by name, the largest first."""
    sums: defaultdict[str, float] = defaultdict(float)
    for name, value in pairs:
        sums[name] += value
    return sorted(sums.items(), key=lambda item: -item[1])


def table(what: str, rows: Iterable[tuple[str, float]]) -> None:
    """Print a table of names and microseconds under the heading `what`."""
    print(f"  {'us':>7}  {what}")
    for name, value in rows:
        print(f"  {value:>7.1f}  {name}")


if __name__ == "__main__":
    sys.exit(main())
