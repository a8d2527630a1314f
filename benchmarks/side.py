"""One of the two databases that are compared: as much of everything for each student and course,
ten or ten million of them.
"""

from __future__ import annotations

import random
from typing import Any

import psycopg2

from benchmarks.inside import Answer, Service
from benchmarks.stage import load

EACH = 10  # courses of a student
LINE = 20  # students in line

# Registration day is over: whatever has students and a low number is full. Only a list that skips
# them shows whether it must.
FILL = """
UPDATE courses SET capacity = taken, seats_taken = taken
FROM (
    SELECT course_id, count(*) AS taken FROM student_courses
    WHERE course_id <= %s GROUP BY course_id
) AS counted
WHERE id = course_id
"""


class Side:
    """The service on a database with `enrollments`, a tenth as many students and a hundredth as
    many courses.

    Students take courses of the first half; the first four fifths of those are full. `full` is a
    course with a line, `roomy` and `emptied` have seats for everybody. The students above
    `standing` are there to be deleted.
    """

    def __init__(self, url: str, enrollments: int) -> None:
        self.students, self.courses = enrollments // EACH, enrollments // 100
        self.standing = self.students // 2
        self.half, self.filled = self.courses // 2, self.courses * 2 // 5
        load(url, self.students, self.courses, EACH)
        self._settle(url)
        self.service = Service(url)
        self.random = random.Random(1)
        self.full = self._course("Full", capacity=1, waitlist_capacity=None)
        self.roomy, self.emptied = (
            self._course(name, capacity=1_000_000) for name in ("Roomy", "Emptied")
        )
        line = {"student_ids": list(range(1, LINE + 2)), "waitlist": True}
        self.ask("POST", f"/courses/{self.full}/students", line)
        self._settle(url)

    def _settle(self, url: str) -> None:
        """Leave nothing for the server to tidy up while it is measured."""
        connection = psycopg2.connect(url)
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(FILL, (self.filled,))
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            cursor.execute(statement)
        connection.close()

    def _course(self, name: str, **fields: Any) -> int:
        return int(
            self.ask("POST", "/courses", {"name": name, "level": "senior", **fields}).json["id"]
        )

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        """One request that is no part of what is measured, and must be answered well."""
        answer = self.service.ask(method, target, body)
        assert answer.status < 300, (method, target, answer)
        return answer

    def student(self) -> int:
        """Some student."""
        return self.random.randint(LINE + 2, self.standing)

    def course(self) -> int:
        """Some course that has students and no limit."""
        return self.random.randint(self.filled + 1, self.half)

    def limited(self) -> int:
        """Some course that has students and is full."""
        return self.random.randint(1, self.filled)
