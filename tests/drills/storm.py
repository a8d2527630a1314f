"""Students who race for seats and do not give up. A student who gets no response, or a 503, sends
the same request again.
"""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import threading
import time
from contextlib import closing

import psycopg2

from devtools.gunicorn import Answer, crowd, send
from devtools.topology import Topology
from devtools.waiting import pause, wait_until

STUDENTS, SEATS = 100, 30
PATIENCE = 60  # seconds after which every student must have a response
# Seconds before a student sends the same request again: less than Retry-After, for more load.
AGAIN = 0.2
ROWS = """
SELECT e.student_id, e.course_id, e.state, count(v.id) FROM student_courses e
LEFT JOIN enrollment_events v ON v.student_id = e.student_id AND v.course_id = e.course_id
WHERE e.course_id = ANY(%s) GROUP BY e.student_id, e.course_id, e.state
"""


class Storm:
    """Every student asks for a seat of every course, inside `with Storm(up) as storm`; on leaving
    the books are compared.

    Those in `haste` hang up on their first request without waiting for its answer. `final` has the
    last answer of each (student, course), `refused` those that were sent again, each with the
    moment it was sent.
    """

    def __init__(
        self, up: Topology, courses: int, clients: int = 12, *, haste: bool = False
    ) -> None:
        self.up, self.haste = up, haste
        people = [("POST", "/students", {"name": f"Student {i}"}) for i in range(STUDENTS)]
        self.students = [answer.json["id"] for answer in crowd(up.port, people, clients)]
        names = [f"Course {time.time_ns()} {i}" for i in range(courses)]
        offer = [
            ("POST", "/courses", {"name": name, "level": "x", "capacity": SEATS}) for name in names
        ]
        self.courses = [answer.json["id"] for answer in crowd(up.port, offer, clients)]
        self.todo = itertools.product(self.courses, self.students)
        self.lock, self.done = threading.Lock(), threading.Event()
        self.final: dict[tuple[int, int], Answer] = {}
        self.refused: list[tuple[float, Answer]] = []
        self.broken: list[Exception] = []
        self.slowest = 0.0  # seconds
        self.threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def __enter__(self) -> Storm:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            self._compare()

    def wait_for(self, more: int) -> None:
        """Return when `count` more students have got a response."""
        wanted = len(self.final) + more

        def answered() -> bool:
            over = not any(thread.is_alive() for thread in self.threads)
            assert len(self.final) >= wanted or not over, "the storm is over"
            return len(self.final) >= wanted

        wait_until(answered, PATIENCE, lambda: f"{wanted - len(self.final)} not answered")

    def statuses(self) -> set[int]:
        """The statuses of the responses after which a request was sent again."""
        return {answer.status for _, answer in self.refused}

    def replayed(self) -> int:
        """The number of students who sent their request again and learned that the first one had
        given them a seat.
        """
        return sum("Idempotent-Replayed" in answer.headers for answer in self.final.values())

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.up.port, timeout=PATIENCE)
        while not self.done.is_set():
            with self.lock:
                course, student = next(self.todo, (0, 0))
            if not course:
                break
            began = time.monotonic()
            self.final[student, course] = self._ask(connection, student, course)
            self.slowest = max(self.slowest, time.monotonic() - began)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, student: int, course: int) -> Answer:
        request = (
            "POST",
            f"/students/{student}/enroll",
            {"course_ids": [course]},
            {"Idempotency-Key": f"{student}-{course}"},
        )
        deadline = time.monotonic() + PATIENCE
        if self.haste:
            connection.request(
                request[0],
                request[1],
                json.dumps(request[2]),
                {"Content-Type": "application/json", **request[3]},
            )
            connection.close()
        while True:
            sent = time.monotonic()
            try:
                answer = send(connection, *request)
                if answer.status not in (502, 503, 504) or sent > deadline:
                    return answer
                self.refused.append((sent, answer))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                connection.close()
                if sent > deadline:
                    raise
            pause(AGAIN)

    def _compare(self) -> None:
        """Compare each response with the rows and the history: every response was true, and nothing
        was done twice or oversold.
        """
        with (
            closing(psycopg2.connect(self.up.postgres.url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(ROWS, (self.courses,))
            rows = {(student, course): (state, events) for student, course, state, events in cursor}
        assert set(rows.values()) <= {("enrolled", 1)}
        for (student, course), answer in self.final.items():
            told = (answer.status, answer.json.get("added") or answer.json["type"])
            assert told == (
                (201, [course]) if (student, course) in rows else (409, "/problems/course-full")
            )
        # Students without a response have no seat.
        assert {row for row in rows if row[0] in self.students} <= self.final.keys()
        seated = [course for _, course in rows]
        assert max(map(seated.count, set(seated))) <= SEATS
        audit(self.up)


def audit(up: Topology) -> None:
    """Assert that the audit of the service finds no violation."""
    try:
        up.flask("audit")
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stdout) from None
