"""A registration day in one command: `make storm`.

Students race for the seats of one course; then the data is audited. Parameters, with their
defaults, come from the environment: STUDENTS (10000), SEATS (500), CONNECTIONS (64), and PICTURE
(storm.svg), the file of the chart. With WINDOW, a number of seconds, the course belongs to a term.
Then students send requests for so long before the registration window opens, and the race begins
when it opens.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.client import race
from benchmarks.opening import OF_TERM, hammer, make_term
from benchmarks.stage import load, postgres
from benchmarks.storm_report import Size, Storm, kind, report
from devtools.gunicorn import Gunicorn

STUDENTS, SEATS, CONNECTIONS = (
    int(os.environ.get(name) or default)
    for name, default in (("STUDENTS", 10000), ("SEATS", 500), ("CONNECTIONS", 64))
)
WINDOW = float(os.environ.get("WINDOW") or 0)
PICTURE = Path(os.environ.get("PICTURE") or "storm.svg").resolve()
DROPS = SEATS // 2  # seats given back during the storm

Request = tuple[Any, ...]


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


def enroll(student: int, course: int) -> Request:
    """A request for a seat. Every second student also agrees to wait for one."""
    body = {"course_ids": [course], "waitlist": student % 2 == 0}
    return "POST", f"/students/{student}/enroll", body


async def storm(port: int, course: int, opens: float | None = None) -> Storm:
    """Every student asks for a seat.

    After a third of these requests, students who have a seat give it back. Their requests are
    spread among the next sixth. If the window opens at the moment `opens`, students ask again and
    again until then, and the race begins afterwards.
    """
    began = time.perf_counter()
    everybody = range(1, STUDENTS + 1)
    opening = None
    if opens is not None:
        asked = [(student, enroll(student, course)) for student in everybody]
        opening = await hammer(port, asked, CONNECTIONS, opens)
    early = dict(opening.seated) if opening else {}
    race_began = time.perf_counter()
    students = [student for student in everybody if student not in early]
    third = len(students) // 3
    first = await race(port, [enroll(one, course) for one in students[:third]], CONNECTIONS)
    seated = [
        student
        for student, answer in (*early.items(), *zip(students[:third], first, strict=True))
        if kind(answer) == "enrolled 201"
    ]
    drops = [("DELETE", f"/students/{student}/courses/{course}") for student in seated[:DROPS]]
    others = [enroll(student, course) for student in students[third:]]
    requests = [*_spread(drops, others[: third // 2]), *others[third // 2 :]]
    second = await race(port, requests, CONNECTIONS)
    seconds = time.perf_counter() - race_began
    by_method = {
        method: [
            answer for request, answer in zip(requests, second, strict=True) if request[0] == method
        ]
        for method in ("POST", "DELETE")
    }
    enrolls = [*early.values(), *first, *by_method["POST"]]
    return Storm(began, race_began, seconds, enrolls, by_method["DELETE"], opening)


def _spread(few: list[Request], many: list[Request]) -> list[Request]:
    """`few` at equal distances among `many`; each keeps its order."""
    distance = len(many) / (len(few) + 1)
    placed = [*enumerate(many), *((i * distance, request) for i, request in enumerate(few, 1))]
    return [request for _, request in sorted(placed, key=lambda place: place[0])]


def main() -> int:
    """Run the storm, print its result and draw it. Returns the exit status: 1 if the data is wrong,
    else 0.
    """
    with postgres("shared_buffers=256MB") as server, tempfile.TemporaryDirectory() as folder:
        load(server.url, STUDENTS, courses=2, each=0)
        with Gunicorn({"DATABASE_URL": server.url}, log=Path(folder, "log")) as service:
            opens = make_term(service, WINDOW) if WINDOW else None
            fields = {"name": "Storm", "level": "x", "capacity": SEATS, "waitlist_capacity": None}
            made = service.request("POST", "/courses", fields | (OF_TERM if WINDOW else {}))
            watch = Watch(server.url, made.json["id"])
            watch.start()
            done = asyncio.run(storm(service.port, watch.course, opens))
            watch.done.set()
            watch.join()
            size = Size(STUDENTS, SEATS, CONNECTIONS)
            return report(server.url, size, done, watch.course, watch.samples, PICTURE)


if __name__ == "__main__":
    sys.exit(main())
