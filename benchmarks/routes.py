"""Every route except lists: single objects, and all writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from benchmarks.lists import Asked, Case
from benchmarks.side import EACH, WAITLISTED, Side

MANY = 50  # students in one bulk request
# The number of courses that the requests of one kind use. Before the measurement, a student enrolls
# in each of them. So the connection has already read their capacities, as in a running service.
POOL = 24


class Fresh:
    """Unused numbers, students and courses, so that every request has something to change."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.used: defaultdict[str, int] = defaultdict(int)

    def number(self, what: str) -> int:
        """The next of 1, 2, 3 … for each `what`."""
        self.used[what] += 1
        return self.used[what]

    def student(self, what: str) -> int:
        """A student not used for `what` before. The students are spread over the whole table."""
        return WAITLISTED + 2 + self.number(what) * 7919 % (self.side.standing - WAITLISTED - 1)

    def course(self, what: int) -> int:
        """The next course of a pool. Each of the four pools (`what`, 0 to 3) lies in one quarter of
        the courses that have no students in the demo data.
        """
        quarter = (self.side.courses - self.side.half) // 4
        pool = min(POOL, quarter)
        return (
            self.side.half
            + 1
            + what * quarter
            + self.number(f"course {what}") % pool * (quarter // pool)
        )


def term(code: str, **fields: Any) -> dict[str, Any]:
    """The body of a request that creates a term."""
    dates = {"starts_on": "2026-08-24", "ends_on": "2026-12-18", "time_zone": "UTC"}
    return {"code": code, "name": "Fall", **dates, **fields}


def windows(number: int) -> dict[str, Any]:
    """A set of windows that differs for each number."""
    times = {"opens_at": f"{1900 + number % 300}-04-06T08:00:00Z", "closes_at": "2199-12-31T00:00Z"}
    return {"windows": [{"group": f"g{i}", **times} for i in range(10)]}


def others(side: Side) -> Iterator[Case]:
    """All kinds of requests except lists.

    Each request finds the rows that it needs, and leaves no rows that make the next one slower.
    """
    fresh = Fresh(side)
    # The course and the students of the previous request of `many`.
    in_many: list[tuple[int, list[int]]] = []
    for what in range(4):
        for _ in range(POOL):
            side.ask("POST", "/students/1/enroll", {"course_ids": [fresh.course(what)]})

    def five() -> Asked:
        return (
            "POST",
            f"/students/{fresh.student('five')}/enroll",
            {"course_ids": [fresh.course(1) for _ in range(5)]},
        )

    def replaced() -> Asked:
        return (
            "PUT",
            f"/students/{fresh.student('replaced')}/enroll",
            {"course_ids": [fresh.course(2) for _ in range(5)]},
        )

    def new_course() -> int:
        return int(
            side.ask("POST", "/courses", {"name": f"New {fresh.number('new')}", "level": "x"}).json[
                "id"
            ]
        )

    def members(count: int) -> list[int]:
        """New students of the course `emptied`."""
        students = [fresh.student("member") for _ in range(count)]
        side.ask("POST", f"/courses/{side.emptied}/students", {"student_ids": students})
        return students

    def edited(method: str, path: str) -> Asked:
        return method, path, {"name": f"Edited {fresh.number('edited')}"}

    def enrolled(what: str, course: int) -> Asked:
        return "POST", f"/students/{fresh.student(what)}/courses", {"course_id": course}

    def standing() -> Asked:
        student = side.student()
        return "GET", f"/students/{student}/courses/{1 + student * 7 % side.half}", None

    def many() -> Asked:
        """Also drops the students of the previous such request: a small database has too few."""
        for course, students in in_many:
            side.ask("POST", f"/courses/{course}/drop", {"student_ids": students})
        in_many[:] = [(fresh.course(3), [fresh.student("many") for _ in range(MANY)])]
        ((course, students),) = in_many
        return "POST", f"/courses/{course}/students", {"student_ids": students}

    def left() -> Asked:
        return "POST", f"/courses/{side.emptied}/drop", {"student_ids": members(MANY)}

    def swapped() -> Asked:
        items = [{"course_id": fresh.course(3)}]
        return (
            "POST",
            f"/students/{members(1)[0]}/changes",
            {"add": items, "drop": [side.emptied]},
        )

    def moved() -> Asked:
        students = members(MANY)
        body = {"to": new_course(), "student_ids": students}
        return "POST", f"/courses/{side.emptied}/move", body

    def reinstated() -> Asked:
        method, path, body = left()
        side.ask(method, path, body)
        return "POST", f"/courses/{side.emptied}/reinstate", body

    def new_term(**fields: Any) -> str:
        code = f"T{fresh.number('term')}"
        side.ask("POST", "/terms", term(code, **fields))
        return code

    semester = new_term()
    new_term(parent=semester, time_zone=None)
    for method in ("PUT", "PATCH"):
        yield Case(f"{method} /terms/{{t}}", lambda _, m=method: edited(m, f"/terms/{semester}"))
        yield Case(
            f"{method} /students/{{s}}",
            lambda _, m=method: edited(m, f"/students/{fresh.student('edited')}"),
        )
        yield Case(
            f"{method} /courses/{{c}}", lambda s, m=method: edited(m, f"/courses/{s.course()}")
        )
    yield Case("GET /terms", lambda _: ("GET", "/terms?sort=starts_on", None))
    yield Case("GET /terms/{t}", lambda _: ("GET", f"/terms/{semester}", None))
    yield Case(
        "POST /terms", lambda _: ("POST", "/terms", term(f"N{fresh.number('new term')}")), 201
    )
    yield Case("DELETE /terms/{t}", lambda _: ("DELETE", f"/terms/{new_term()}", None), 204)
    yield Case("GET /terms/{t}/windows", lambda _: ("GET", f"/terms/{semester}/windows", None))
    yield Case(
        "PUT /terms/{t}/windows",
        lambda _: ("PUT", f"/terms/{semester}/windows", windows(fresh.number("windows"))),
    )
    yield Case("GET /health/ready", lambda _: ("GET", "/health/ready", None))
    yield Case("GET /students/{s}", lambda s: ("GET", f"/students/{s.student()}", None))
    yield Case("GET /courses/{c} without limit", lambda s: ("GET", f"/courses/{s.course()}", None))
    yield Case("GET /courses/{c} full", lambda s: ("GET", f"/courses/{s.limited()}", None))
    yield Case("GET /courses/{name}", lambda _: ("GET", "/courses/roomy", None))
    yield Case("GET /students/{s}/courses/{c}", lambda _: standing())
    yield Case(
        "GET /students/{s}/courses/{c} waitlisted",
        lambda s: ("GET", f"/students/{WAITLISTED}/courses/{s.full}", None),
    )
    yield Case(
        "POST /students",
        lambda _: ("POST", "/students", {"name": f"Ada {fresh.number('student')}"}),
        201,
    )
    yield Case(
        f"DELETE /students/{{s}} of {EACH} courses",
        lambda s: ("DELETE", f"/students/{s.students - fresh.number('x')}", None),
        204,
    )
    yield Case(
        "POST /courses",
        lambda _: ("POST", "/courses", {"name": f"Art {fresh.number('art')}", "level": "x"}),
        201,
    )
    yield Case(
        "PATCH /courses/{c} capacity",
        lambda s: ("PATCH", f"/courses/{s.roomy}", {"capacity": 10**6 + fresh.number("c")}),
    )
    yield Case("DELETE /courses/{c}", lambda _: ("DELETE", f"/courses/{new_course()}", None), 204)
    yield Case("POST /students/{s}/courses", lambda _: enrolled("one", fresh.course(0)), 201)
    yield Case("POST /students/{s}/courses of seats", lambda s: enrolled("seat", s.roomy), 201)
    yield Case("POST /students/{s}/courses refused", lambda s: enrolled("refused", s.full), 409)
    yield Case("POST /students/{s}/enroll in 5", lambda _: five(), 201)
    yield Case(f"PUT /students/{{s}}/enroll of 5 for {EACH}", lambda _: replaced())
    yield Case(
        "DELETE /students/{s}/courses/{c}",
        lambda s: ("DELETE", f"/students/{members(1)[0]}/courses/{s.emptied}", None),
        204,
    )
    yield Case(f"POST /courses/{{c}}/students of {MANY}", lambda _: many(), 201)
    yield Case(f"POST /courses/{{c}}/drop of {MANY}", lambda _: left())
    yield Case(
        "GET /students/{s}/enroll", lambda s: ("GET", f"/students/{s.student()}/enroll", None)
    )
    yield Case("POST /students/{s}/changes", lambda _: swapped())
    yield Case(
        "POST /courses/{c}/cancel", lambda _: ("POST", f"/courses/{new_course()}/cancel", {})
    )
    yield Case(f"POST /courses/{{c}}/move of {MANY}", lambda _: moved())
    yield Case(f"POST /courses/{{c}}/reinstate of {MANY}", lambda _: reinstated())
