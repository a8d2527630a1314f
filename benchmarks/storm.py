"""Registration day in one command: `make storm`. Students race for the seats of one course; then the books are audited.

STUDENTS (10000), SEATS (500), CONNECTIONS (64) and PICTURE (storm.svg) come from the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg2

from benchmarks.client import Answer, race
from benchmarks.picture import draw
from benchmarks.stage import flask, load, postgres
from tests.postgres import Server
from tests.server import Gunicorn

STUDENTS, SEATS, CONNECTIONS = (
    int(os.environ.get(name) or default) for name, default in (("STUDENTS", 10000), ("SEATS", 500), ("CONNECTIONS", 64))
)
PICTURE = Path(os.environ.get("PICTURE") or "storm.svg").resolve()
DROPS = min(50, SEATS)  # seats given back on the way


class Watch(threading.Thread):
    """Reads seats taken and line length from the database ten times a second: (seconds, seats, line)."""

    def __init__(self, url: str, course: int) -> None:
        super().__init__(daemon=True)
        self.url, self.course = url, course
        self.seen: list[tuple[float, int, int]] = []
        self.done = threading.Event()

    def run(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        cursor = connection.cursor()
        while not self.done.wait(0.1):
            cursor.execute("SELECT seats_taken, waitlisted FROM courses WHERE id = %s", (self.course,))
            self.seen.append((time.perf_counter(), *cursor.fetchone()))
        connection.close()


async def storm(port: int, course: int) -> tuple[list[Answer], list[Answer]]:
    """Every student asks for a seat, every second one would also wait; a third of the way in, some give theirs back."""

    def enroll(student: int) -> tuple[str, str, dict[str, object]]:
        return "POST", f"/students/{student}/enroll", {"course_ids": [course], "waitlist": student % 2 == 0}

    third = max(DROPS, STUDENTS // 3)
    first = await race(port, [enroll(s) for s in range(1, third + 1)], CONNECTIONS)
    holders = [s for s, answer in enumerate(first, 1) if answer.status == 201 and b'"added":[]' not in answer.body][:DROPS]
    rest = [enroll(s) for s in range(third + 1, STUDENTS + 1)]
    drops = [("DELETE", f"/students/{s}/courses/{course}") for s in holders]
    mixed = [request for pair in zip(rest[: len(drops)], drops, strict=False) for request in pair] + rest[len(drops) :]
    second = await race(port, mixed, CONNECTIONS)
    enrolled = [a for request, a in zip(mixed, second, strict=True) if request[0] == "POST"]
    return first + enrolled, [a for request, a in zip(mixed, second, strict=True) if request[0] == "DELETE"]


def main() -> int:
    with postgres("shared_buffers=256MB") as server, tempfile.TemporaryDirectory() as folder:
        load(server.url, STUDENTS, courses=2, each=0)
        with Gunicorn({"DATABASE_URL": server.url}, log=Path(folder, "log")) as service:
            made = service.request(
                "POST", "/courses", {"name": "Storm", "level": "x", "capacity": SEATS, "waitlist_capacity": None}
            )
            course = made.json["id"]
            watch = Watch(server.url, course)
            watch.start()
            began = time.perf_counter()
            answers, drops = asyncio.run(storm(service.port, course))
            seconds = time.perf_counter() - began
            watch.done.set()
            watch.join()
            return report(server, course, answers, drops, seconds, began, watch.seen)


def report(
    server: Server,
    course: int,
    answers: list[Answer],
    drops: list[Answer],
    seconds: float,
    began: float,
    seen: list[tuple[float, int, int]],
) -> int:
    """Print what happened and draw it; 1 where the books are wrong."""
    connection = psycopg2.connect(server.url)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM student_courses WHERE course_id = %s AND state = 'enrolled'", (course,))
    seated = cursor.fetchone()[0]
    cursor.execute("SELECT count(*) FROM enrollment_events WHERE why = 'promoted'")
    promoted = cursor.fetchone()[0]
    connection.close()
    audit = flask(server.url, "audit")
    took = sorted(answer.came - answer.sent for answer in answers)
    print(f"{STUDENTS} students, {SEATS} seats, {CONNECTIONS} connections, {len(drops)} seats given back on the way")
    print(
        f"answers     {dict(sorted(Counter(a.status for a in answers).items()))}, drops {dict(Counter(a.status for a in drops))}"
    )
    print(f"seconds     {seconds:.2f} ({(len(answers) + len(drops)) / seconds:.0f} answers/s)")
    print(f"an answer   p50 {1000 * took[len(took) // 2]:.1f} ms, p99 {1000 * took[int(len(took) * 0.99)]:.1f} ms")
    print(f"promotions  {promoted}")
    print(f"oversold    {max(0, seated - SEATS)}")
    print(f"audit       {'clean' if audit.returncode == 0 else 'VIOLATED'}")
    if audit.returncode:
        print(audit.stdout)
    came = [answer.came - began for answer in answers + drops]
    draw(PICTURE, f"{STUDENTS} students race for {SEATS} seats", [(t - began, s, w) for t, s, w in seen], came, SEATS)
    print(f"picture     {PICTURE}")
    return int(audit.returncode != 0 or seated > SEATS)


if __name__ == "__main__":
    sys.exit(main())
