"""A registration day in one command: `make storm`.

Students race for the seats of one course; then the data is audited. Parameters, with their
defaults, come from the environment: STUDENTS (10000), SEATS (500), CONNECTIONS (64), and PICTURE
(storm.svg), the file of the chart.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.client import Answer, race
from benchmarks.picture import KINDS, Chart, draw
from benchmarks.stage import flask, load, postgres
from devtools.gunicorn import Gunicorn

STUDENTS, SEATS, CONNECTIONS = (
    int(os.environ.get(name) or default)
    for name, default in (("STUDENTS", 10000), ("SEATS", 500), ("CONNECTIONS", 64))
)
PICTURE = Path(os.environ.get("PICTURE") or "storm.svg").resolve()
DROPS = SEATS // 2  # seats given back during the storm

Request = tuple[Any, ...]


@dataclass(frozen=True)
class Storm:
    """The responses to a storm, its start (in seconds of `time.perf_counter`) and its duration in
    seconds.
    """

    began: float
    seconds: float
    enrolls: list[Answer]
    drops: list[Answer]


class Watch(threading.Thread):
    """Reads seats taken and the length of the waitlist from the database, twenty times a second
    and once at the end.
    """

    def __init__(self, url: str, course: int) -> None:
        super().__init__(daemon=True)
        self.url, self.course = url, course
        self.samples: list[tuple[float, int, int]] = []  # time, seats taken, length of the waitlist
        self.done = threading.Event()

    def run(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        cursor = connection.cursor()
        over = False
        while not over:
            over = self.done.wait(0.05)
            cursor.execute(
                "SELECT seats_taken, waitlisted FROM courses WHERE id = %s", (self.course,)
            )
            self.samples.append((time.perf_counter(), *cursor.fetchone()))
        connection.close()


async def storm(port: int, course: int) -> Storm:
    """Every student asks for a seat, and every second student also agrees to wait for one.

    After a third of these requests, students who have a seat give it back. Their requests are
    spread among the next sixth.
    """

    def enroll(student: int) -> Request:
        return (
            "POST",
            f"/students/{student}/enroll",
            {"course_ids": [course], "waitlist": student % 2 == 0},
        )

    began = time.perf_counter()
    third = STUDENTS // 3
    first = await race(port, [enroll(student) for student in range(1, third + 1)], CONNECTIONS)
    seated = [student for student, answer in enumerate(first, 1) if _kind(answer) == "enrolled 201"]
    drops = [("DELETE", f"/students/{student}/courses/{course}") for student in seated[:DROPS]]
    others = [enroll(student) for student in range(third + 1, STUDENTS + 1)]
    requests = [*_spread(drops, others[: third // 2]), *others[third // 2 :]]
    second = await race(port, requests, CONNECTIONS)
    seconds = time.perf_counter() - began
    by_method = {
        method: [
            answer for request, answer in zip(requests, second, strict=True) if request[0] == method
        ]
        for method in ("POST", "DELETE")
    }
    return Storm(began, seconds, first + by_method["POST"], by_method["DELETE"])


def _spread(few: list[Request], many: list[Request]) -> list[Request]:
    """`few` at equal distances among `many`; each keeps its order."""
    distance = len(many) / (len(few) + 1)
    placed = [*enumerate(many), *((i * distance, request) for i, request in enumerate(few, 1))]
    return [request for _, request in sorted(placed, key=lambda place: place[0])]


def _kind(answer: Answer) -> str:
    """The kind of a response, one of `KINDS`."""
    if answer.status == 201:
        return "waitlisted 201" if b'"added":[]' in answer.body else "enrolled 201"
    return {204: "drops 204", 409: "refused 409"}.get(answer.status, "errors")


def main() -> int:
    """Run the storm, print its result and draw it. Returns the exit status: 1 if the data is wrong,
    else 0.
    """
    with postgres("shared_buffers=256MB") as server, tempfile.TemporaryDirectory() as folder:
        load(server.url, STUDENTS, courses=2, each=0)
        with Gunicorn({"DATABASE_URL": server.url}, log=Path(folder, "log")) as service:
            made = service.request(
                "POST",
                "/courses",
                {"name": "Storm", "level": "x", "capacity": SEATS, "waitlist_capacity": None},
            )
            watch = Watch(server.url, made.json["id"])
            watch.start()
            done = asyncio.run(storm(service.port, watch.course))
            watch.done.set()
            watch.join()
            return report(server.url, done, watch)


def report(url: str, done: Storm, watch: Watch) -> int:
    """Print the result of the storm and draw it. Returns 1 if the data is wrong, else 0."""
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute(
        "SELECT count(*) FROM student_courses WHERE course_id = %s AND state = 'enrolled'",
        (watch.course,),
    )
    seated = cursor.fetchone()[0]
    cursor.execute(
        "SELECT extract(epoch FROM at)::float FROM enrollment_events WHERE why = 'promoted'"
    )
    # the start of the storm in the time of the database
    since = done.began + time.time() - time.perf_counter()
    promotions = [at - since for (at,) in cursor]
    connection.close()
    audit = flask(url, "audit")
    clean = audit.returncode == 0
    answers = done.enrolls + done.drops
    took = sorted(answer.came - answer.sent for answer in done.enrolls)
    print(
        f"{STUDENTS} students, {SEATS} seats, {CONNECTIONS} connections, {len(done.drops)} "
        "seats given back on the way"
    )
    print(f"responses   {_statuses(done.enrolls)}, drops {_statuses(done.drops)}")
    print(f"seconds     {done.seconds:.2f} ({len(answers) / done.seconds:.0f} responses/s)")
    print(
        f"response    p50 {1000 * took[len(took) // 2]:.1f} ms, p99 "
        f"{1000 * took[int(len(took) * 0.99)]:.1f} ms"
    )
    print(f"promotions  {len(promotions)}")
    print(f"oversold    {max(0, seated - SEATS)}")
    print(f"audit       {'clean' if clean else 'VIOLATED'}")
    if not clean:
        print(audit.stdout)
    chart = Chart(
        verdict=f"{seated:,} of {SEATS:,} seats taken, {max(0, seated - SEATS):,} oversold",
        summary=f"{STUDENTS:,} students race for {SEATS:,} seats over {CONNECTIONS:,} "
        f"connections: {len(answers):,} responses"
        f" in {done.seconds:.1f} s, audit {'clean' if clean else 'VIOLATED'}",
        capacity=SEATS,
        end=done.seconds,
        samples=[(at - done.began, seats, waitlist) for at, seats, waitlist in watch.samples],
        promotions=promotions,
        responses={
            kind: [answer.came - done.began for answer in answers if _kind(answer) == kind]
            for kind in KINDS
        },
        given_back=tuple(
            pick(answer.came for answer in done.drops) - done.began for pick in (min, max)
        )
        if done.drops
        else None,
    )
    draw(PICTURE, chart)
    print(f"picture     {PICTURE}")
    return int(not clean or seated > SEATS)


def _statuses(answers: list[Answer]) -> dict[int, int]:
    return dict(sorted(Counter(answer.status for answer in answers).items()))


if __name__ == "__main__":
    sys.exit(main())
