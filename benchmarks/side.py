"""One of the two databases that `make bench-growth` compares.

In both, students have the same number of courses, and courses the same number of students.
"""

from __future__ import annotations

import random
from typing import Any

import psycopg2

from benchmarks.inside import Answer, Service
from benchmarks.stage import load, load_more

EACH = 10  # courses of a student
TERM_EACH, TERM_COURSES = 5, 1000  # courses of a student of the term, and of the term
MIN_OF_TERM = 500  # students of the term, so that each request of a kind has another one
WAITLISTED = 20  # students on the waitlist of the course `full`

# Every tenth student is in this group.
GROUP = "standing:senior"
JOIN_GROUP = (
    "INSERT INTO student_groups (student_id, group_name) "
    "SELECT id, %s FROM students WHERE mod(id, 10) = 0",
    "UPDATE students SET groups = json_build_array(CAST(%s AS text)) WHERE mod(id, 10) = 0",
)

# The students without a term have as many completions as those with one.
COMPLETE = """
INSERT INTO completions (student_id, catalog_code, catalog_key, kind, grade, credits, created_at,
                         updated_at, version)
SELECT id, 'GENERAL ' || 100 + n, 'general ' || 100 + n, 'course', 'B', 300, now(), now(), 1
FROM students, generate_series(1, 20) AS n ORDER BY id, n
"""
# The holds must not refuse requests, but the rules read them.
UNBLOCK = "UPDATE holds SET blocks = '[]'"

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
    `standing`. `of_term` further students, whose ids begin at `first_of_term`, have courses of a
    term with rules, the same term on both sides.
    """

    def __init__(self, url: str, enrollments: int) -> None:
        self.students, self.courses = enrollments // EACH, enrollments // 100
        self.standing = self.students // 2
        self.half, self.filled = self.courses // 2, self.courses * 2 // 5
        load(url, self.students, self.courses, EACH)
        self._execute(url, *((statement, (GROUP,)) for statement in JOIN_GROUP), (COMPLETE, None))
        self.of_term, self.first_of_term = max(MIN_OF_TERM, self.students // 10), self.students + 1
        load_more(url, self.of_term, TERM_COURSES, TERM_EACH, "--term")
        self._execute(url, (UNBLOCK, None))
        self._settle(url)
        self.service = Service(url)
        self.random = random.Random(1)
        self.full = self._course("Full", capacity=1, waitlist_capacity=None)
        self.roomy, self.emptied = (
            self._course(name, capacity=1_000_000) for name in ("Roomy", "Emptied")
        )
        students = {"student_ids": list(range(1, WAITLISTED + 2)), "waitlist": True}
        self.ask("POST", f"/courses/{self.full}/students", students)
        self._settle(url)

    def _settle(self, url: str) -> None:
        """Fill the courses, and let PostgreSQL vacuum now rather than during the measurement."""
        self._execute(url, (FILL, (self.filled,)), ("VACUUM (ANALYZE)", None), ("CHECKPOINT", None))

    def _execute(self, url: str, *statements: tuple[str, Any]) -> None:
        """Execute statements, each with its values, outside the service."""
        connection = psycopg2.connect(url)
        connection.autocommit = True
        for statement, values in statements:
            connection.cursor().execute(statement, values)
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
