"""A term with all rules, and requests that the rules judge: `make bench-growth`.

Both sides have the school of `load-demo --term`, with as many courses, and a student of it for each
ten other students (at least 500). All students have 20 completions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.lists import Asked, Case
from benchmarks.side import Side

MANY = 50  # students in one bulk request
RULED = ", term with all rules"  # the end of all labels
PREREQUISITES = {"all": [{"credits": 30}, {"course": "GENERAL 101"}]}


def terms(side: Side) -> Iterator[Case]:
    """The kinds of requests. Those that enroll use each student once."""
    used: defaultdict[str, int] = defaultdict(int)

    def student(what: str) -> int:
        """A student of the term, with five of its courses, not used for `what` before. The students
        are spread over the whole term.
        """
        used[what] += 1
        return side.first_of_term + used[what] * 7919 % side.of_term

    def of_term(number: int, prerequisites: object = PREREQUISITES, **fields: object) -> int:
        code, hour = f"RULED {number}", 8 + number
        meeting = {"days": ["sat"], "starts": f"{hour:02}:00", "ends": f"{hour:02}:50"}
        entry = {"code": code, "title": code, "credits_min": 0.1, "prerequisites": prerequisites}
        side.ask("POST", "/catalog", entry)
        body = {"name": code, "level": "x", "term": "DEMO", "catalog_code": code, **fields}
        return int(side.ask("POST", "/courses", {**body, "meetings": [meeting]}).json["id"])

    one, seats, roster = of_term(1), of_term(2, capacity=10**6), of_term(3)
    refused = of_term(4, {"course": "NONE 1"})
    previous: list[list[int]] = []

    def enrolled(course: int) -> Asked:
        path = f"/students/{student(f'course {course}')}/courses"
        return "POST", path, {"course_id": course}

    def many() -> Asked:
        """Also drops the students of the previous such request."""
        for students in previous:
            side.ask("POST", f"/courses/{roster}/drop", {"student_ids": students})
        previous[:] = [[student("many") for _ in range(MANY)]]
        return "POST", f"/courses/{roster}/students", {"student_ids": previous[0]}

    def eligibility(query: str) -> Asked:
        return "GET", f"/students/{student('asked')}/eligibility?{query}", None

    for label, course, status in (
        ("", one, 201),
        (" of seats", seats, 201),
        (" refused", refused, 409),
    ):
        yield Case(
            f"POST /students/{{s}}/courses{label}{RULED}", lambda _, c=course: enrolled(c), status
        )
    yield Case(f"POST /courses/{{c}}/students of {MANY}{RULED}", lambda _: many(), 201)
    for query, asked in (
        ("course", f"course={one}"),
        ("term&eligible", "term=DEMO&eligible=true&limit=20"),
    ):
        yield Case(
            f"GET /students/{{s}}/eligibility?{query}{RULED}", lambda _, q=asked: eligibility(q)
        )
