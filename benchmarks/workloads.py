"""The kinds of requests that the benchmarks measure.

They use demo data in which each student has EACH courses out of the first half of all courses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

EACH = 5  # courses of a student

Asked = tuple[str, str, Any]  # method, address, body


class World(NamedTuple):
    """The demo data: the numbers of students and courses, and the ids of a full course and of a
    course with seats for all students.
    """

    students: int
    courses: int
    full: int
    roomy: int


class Work(NamedTuple):
    """A kind of request: its expected status, the enrollments that it makes, and the number of
    connections to use (0: all).
    """

    status: int = 200
    enrollments: int = 0
    connections: int = 0


WORKS = {
    "live": Work(),
    "list": Work(),
    "get": Work(),
    "mine": Work(),
    "refuse": Work(status=409),
    "enroll": Work(status=201, enrollments=1),
    "seats": Work(status=201, enrollments=1),
    "bulk-1000": Work(status=201, enrollments=1000, connections=1),
    "bulk-100": Work(status=201, enrollments=100, connections=1),
}


def requests(name: str, world: World) -> Iterator[Asked]:
    """An endless series of requests of the kind `name`.

    Each request that writes changes something new, and no two kinds change the same rows.
    """
    free = world.courses // 2 + 1  # the id of the first course without students
    part = world.courses // 8
    pick = random.Random(1).randint

    def block(n: int, size: int) -> list[int]:
        return [1 + (n * size + i) % world.students for i in range(size)]

    for n in count():
        student, course = 1 + n % world.students, n // world.students % part
        yield {
            "live": lambda: ("GET", "/health/live", None),
            "list": lambda: ("GET", "/courses?limit=20", None),
            "get": lambda: ("GET", f"/courses/{pick(1, world.courses // 2)}", None),
            "mine": lambda: ("GET", f"/students/{pick(1, world.students)}/courses", None),
            "refuse": lambda: (
                "POST",
                f"/students/{pick(1, world.students)}/enroll",
                {"course_ids": [world.full]},
            ),
            "enroll": lambda student=student, c=free + course: (
                "POST",
                f"/students/{student}/enroll",
                {"course_ids": [c]},
            ),
            "seats": lambda student=student: (
                "POST",
                f"/students/{student}/enroll",
                {"course_ids": [world.roomy]},
            ),
            "bulk-1000": lambda n=n: (
                "POST",
                f"/courses/{free + part + n % part}/students",
                {"student_ids": block(n + n // part, 1000)},
            ),
            "bulk-100": lambda student=student: (
                "POST",
                f"/students/{student}/enroll",
                {"course_ids": list(range(free + 2 * part, free + 2 * part + min(100, part)))},
            ),
        }[name]()
