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

from benchmarks import term_school
from benchmarks.bench import COUNTED, counted
from benchmarks.inside import Service, call, environ
from benchmarks.stage import load, make_key, postgres
from benchmarks.workloads import EACH, WORKS, TermWorld, World, requests

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
    plain = [name for name in WORK if not WORKS[name].has_term]
    of_term = [name for name in WORK if WORKS[name].has_term]
    for names, make in ((plain, plain_world), (of_term, term_world)):
        if names:
            with postgres("shared_buffers=256MB") as server:
                measure(server.url, names, make(server.url))
    return 0


def plain_world(url: str) -> World:
    """The demo data without a term, with two new courses."""
    load(url, STUDENTS, COURSES, EACH)
    service = Service(url)
    made = [
        service.ask("POST", "/courses", {"name": name, "level": "senior", "capacity": capacity})
        for name, capacity in (("Full", 0), ("Roomy", STUDENTS))
    ]
    return World(STUDENTS, COURSES, *(answer.json["id"] for answer in made))


def term_world(url: str) -> TermWorld:
    """The school with a term."""
    return term_school.make(url, STUDENTS, COURSES)


def measure(url: str, names: list[str], world: World | TermWorld) -> None:
    """Print the cost of the kinds of requests `names`."""
    token = make_key(url)
    service, guarded = Service(url), Service(url, auth="required")
    service.record_statements()
    for name in names:
        statements = counted(service, name, world)
        print(f"{name}: {statements} statements besides BEGIN and COMMIT")
        report(guarded, token, name, world)


def report(service: Service, token: str, name: str, world: World | TermWorld) -> None:
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
