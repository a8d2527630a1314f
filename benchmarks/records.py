"""Groups, completions, holds and overrides: all routes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.lists import Asked, Case
from benchmarks.side import Side

MANY = 50  # students in one bulk request
BODIES: dict[str, dict[str, Any]] = {
    "completions": {"catalog_code": "CS 225", "kind": "course", "grade": "A", "credits": 3},
    "holds": {"code": "BURSAR", "detail": "A fee is not paid.", "blocks": ["add"]},
    "overrides": {"rule": "course-full", "catalog_code": "CS 225", "reason": "Placement test"},
}


def records(side: Side) -> Iterator[Case]:
    """All kinds of requests to these routes. Each one finds the rows that it needs."""
    numbers = count(1)

    def made(kind: str) -> str:
        """The address of a new row of a random student."""
        path = f"/students/{side.student()}/{kind}"
        return f"{path}/{side.ask('POST', path, BODIES[kind]).json['id']}"

    def added() -> Asked:
        students = [side.student() for _ in range(MANY)]
        return "POST", f"/groups/program:{next(numbers)}/add", {"student_ids": students}

    def removed() -> Asked:
        method, path, body = added()
        side.ask(method, path, body)
        return method, path.replace("/add", "/remove"), body

    yield Case(f"POST /groups/{{g}}/add of {MANY}", lambda _: added())
    yield Case(f"POST /groups/{{g}}/remove of {MANY}", lambda _: removed())
    for kind, body in BODIES.items():
        path = f"/students/{{s}}/{kind}"
        yield Case(
            f"POST {path}",
            lambda s, k=kind, b=body: ("POST", f"/students/{s.student()}/{k}", b),
            201,
        )
        yield Case(f"GET {path}", lambda _, k=kind: ("GET", made(k).rpartition("/")[0], None))
        yield Case(f"GET {path}/{{i}}", lambda _, k=kind: ("GET", made(k), None))
    one = "/students/{s}/completions/{i}"
    for method in ("PUT", "PATCH"):
        yield Case(f"{method} {one}", lambda _, m=method: (m, made("completions"), {"grade": "B"}))
    yield Case(f"DELETE {one}", lambda _: ("DELETE", made("completions"), None), 204)
    one = "/students/{s}/holds/{i}"
    yield Case(f"PATCH {one}", lambda _: ("PATCH", made("holds"), {"blocks": ["drop"]}))
    yield Case(f"POST {one}/release", lambda _: ("POST", f"{made('holds')}/release", {}))
    one = "/students/{s}/overrides/{i}"
    yield Case(f"POST {one}/revoke", lambda _: ("POST", f"{made('overrides')}/revoke", {}))
