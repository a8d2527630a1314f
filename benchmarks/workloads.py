"""The kinds of requests that the benchmarks measure.

They use demo data in which each student has EACH courses out of the first half of all courses. The
kinds that end in `-term`, and `eligibility`, use a school with a term instead (term_school.py).
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


class TermWorld(NamedTuple):
    """A school with a term: the number of students, and the ids of its courses for requests.

    Students may take all courses but `refused`. `enroll` and `bulk_1000` have one course for each
    time that all students have been used, `bulk_100` the courses of one request, and `roomy` has
    seats for all students.
    """

    students: int
    refused: int
    roomy: int
    enroll: tuple[int, ...]
    bulk_1000: tuple[int, ...]
    bulk_100: tuple[int, ...]


class Work(NamedTuple):
    """A kind of request: its expected status, the enrollments that it makes, the number of
    connections to use (0: all), and whether it needs the school with a term.

    `beside` is the kind that does the same without a term.
    """

    status: int = 200
    enrollments: int = 0
    connections: int = 0
    has_term: bool = False
    beside: str = ""


def _in_term(beside: str, work: Work) -> Work:
    return work._replace(has_term=True, beside=beside)


_PLAIN = {
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
_BESIDE = ("refuse", "enroll", "seats", "bulk-1000", "bulk-100")
# A kind with rules comes directly after the same kind without, so that both meet the same load of
# the machine.
WORKS = {
    key: one
    for name, work in _PLAIN.items()
    for key, one in (
        (name, work),
        *([(f"{name}-term", _in_term(name, work))] if name in _BESIDE else []),
    )
} | {"eligibility": Work(connections=1, has_term=True)}


def requests(name: str, world: World | TermWorld) -> Iterator[Asked]:
    """An endless series of requests of the kind `name`, which needs this kind of world.

    Each request that writes changes something new, and no two kinds change the same rows.
    """
    return _plain(name, world) if isinstance(world, World) else _of_term(name, world)


def _plain(name: str, world: World) -> Iterator[Asked]:
    free = world.courses // 2 + 1  # the id of the first course without students
    part = world.courses // 8
    pick = random.Random(1).randint

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
                {"student_ids": block(world.students, n + n // part, 1000)},
            ),
            "bulk-100": lambda student=student: (
                "POST",
                f"/students/{student}/enroll",
                {"course_ids": list(range(free + 2 * part, free + 2 * part + min(100, part)))},
            ),
        }[name]()


def _of_term(name: str, world: TermWorld) -> Iterator[Asked]:
    pick, part = random.Random(1).randint, len(world.bulk_1000)
    for n in count():
        student = 1 + n % world.students
        enroll = f"/students/{student}/enroll"
        course = world.enroll[n // world.students % len(world.enroll)]
        yield {
            "refuse-term": lambda: (
                "POST",
                f"/students/{pick(1, world.students)}/enroll",
                {"course_ids": [world.refused]},
            ),
            "enroll-term": lambda e=enroll, c=course: ("POST", e, {"course_ids": [c]}),
            "seats-term": lambda e=enroll: ("POST", e, {"course_ids": [world.roomy]}),
            "bulk-1000-term": lambda n=n: (
                "POST",
                f"/courses/{world.bulk_1000[n % part]}/students",
                {"student_ids": block(world.students, n + n // part, 1000)},
            ),
            "bulk-100-term": lambda e=enroll: ("POST", e, {"course_ids": list(world.bulk_100)}),
            "eligibility": lambda: (
                "GET",
                f"/students/{pick(1, world.students)}/eligibility?term=DEMO&eligible=true&limit=20",
                None,
            ),
        }[name]()


def block(students: int, n: int, size: int) -> list[int]:
    """The n-th `size` students, beginning again with the first after the last."""
    return [1 + (n * size + i) % students for i in range(size)]
