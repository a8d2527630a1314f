"""One of the two databases that `make bench-growth` compares.

In both, students have the same number of courses, and courses the same number of students.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import psycopg2

from benchmarks.inside import Answer, Service
from benchmarks.stage import load

EACH = 10  # courses of a student
WAITLISTED = 20  # students on the waitlist of the course `full`

# Every tenth student is in this group.
GROUP = "standing:senior"
JOIN_GROUP = (
    "INSERT INTO student_groups (student_id, group_name) "
    "SELECT id, %s FROM students WHERE mod(id, 10) = 0",
    "UPDATE students SET groups = json_build_array(CAST(%s AS text)) WHERE mod(id, 10) = 0",
)

# Courses with students and low ids are full, as after a registration day. So the list of open
# courses must skip many rows. This shows whether its cost grows.
FILL = """
UPDATE courses SET capacity = taken, seats_taken = taken
FROM (
    SELECT course_id, count(*) AS taken FROM student_courses
    WHERE course_id <= %s GROUP BY course_id
) AS counted
WHERE id = course_id
"""


class Side:
    """The service on a database with `enrollments` enrollments.

    The database has a tenth as many students and a hundredth as many courses. Students take courses
    of the first half; the first four fifths of those are full. `full` is a course with a waitlist;
    `roomy` and `emptied` have seats for everybody. Requests may delete students with ids above
    `standing`.
    """

    def __init__(self, url: str, enrollments: int) -> None:
        self.students, self.courses = enrollments // EACH, enrollments // 100
        self.standing = self.students // 2
        self.half, self.filled = self.courses // 2, self.courses * 2 // 5
        load(url, self.students, self.courses, EACH)
        self._settle(url, JOIN_GROUP)
        self.service = Service(url)
        self.random = random.Random(1)
        self.full = self._course("Full", capacity=1, waitlist_capacity=None)
        self.roomy, self.emptied = (
            self._course(name, capacity=1_000_000) for name in ("Roomy", "Emptied")
        )
        students = {"student_ids": list(range(1, WAITLISTED + 2)), "waitlist": True}
        self.ask("POST", f"/courses/{self.full}/students", students)
        self._settle(url)

    def _settle(self, url: str, before: Sequence[str] = ()) -> None:
        """Execute the statements of `before`, each with the name of the group. Then fill the
        courses, and let PostgreSQL vacuum now rather than during the measurement.
        """
        connection = psycopg2.connect(url)
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in before:
            cursor.execute(statement, (GROUP,))
        cursor.execute(FILL, (self.filled,))
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            cursor.execute(statement)
        connection.close()

    def _course(self, name: str, **fields: Any) -> int:
        return int(
            self.ask("POST", "/courses", {"name": name, "level": "senior", **fields}).json["id"]
        )

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        """The response to a request that is not measured. Raises AssertionError if it fails."""
        answer = self.service.ask(method, target, body)
        assert answer.status < 300, (method, target, answer)
        return answer

    def student(self) -> int:
        """The id of a random student who is not deleted."""
        return self.random.randint(WAITLISTED + 2, self.standing)

    def course(self) -> int:
        """The id of a random course with students and without a capacity."""
        return self.random.randint(self.filled + 1, self.half)

    def limited(self) -> int:
        """The id of a random full course."""
        return self.random.randint(1, self.filled)
