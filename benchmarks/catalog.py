"""The catalog, and courses of a term: their routes, and enrollments that the rules judge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.lists import Asked, Case
from benchmarks.routes import MANY, term
from benchmarks.side import Side

WINDOW = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-12-31T00:00:00Z"}
MEETING = {"days": ["mon", "wed"], "starts": "09:00", "ends": "10:15"}


def entry(code: str, **fields: Any) -> dict[str, Any]:
    """The body of a request that creates a catalog entry."""
    needs = {"any": [{"credits": 60}, {"text": "Consent"}]}
    return {"code": code, "title": "Trees", "credits_min": 3, "prerequisites": needs, **fields}


def catalog(side: Side) -> Iterator[Case]:
    """All kinds of requests to these routes. Each one finds the rows that it needs."""
    numbers = count(1)

    def new_entry() -> str:
        code = f"CS{next(numbers)}"
        side.ask("POST", "/catalog", entry(code, excludes=["CS0"]))
        return code

    def of_term(**fields: Any) -> int:
        body = {"name": f"Of a term {next(numbers)}", "level": "x", "term": "RULES", **fields}
        return int(side.ask("POST", "/courses", body).json["id"])

    def edited(method: str) -> Asked:
        return method, "/catalog/ALGEBRA", {"title": f"Algebra {next(numbers)}"}

    def student() -> int:
        return side.standing - next(numbers)

    side.ask("POST", "/terms", term("RULES", max_credits=99))
    side.ask("PUT", "/terms/RULES/windows", {"windows": [WINDOW]})
    side.ask("POST", "/catalog", entry("ALGEBRA"))
    ruled = of_term(catalog_code="ALGEBRA", meetings=[MEETING], capacity=10**6)
    restricted = of_term(open_to={"group": "program:none"})

    yield Case("GET /catalog", lambda _: ("GET", "/catalog?sort=code&limit=20", None))
    yield Case("GET /catalog/{e}", lambda _: ("GET", "/catalog/ALGEBRA", None))
    yield Case("POST /catalog", lambda _: ("POST", "/catalog", entry(f"NEW{next(numbers)}")), 201)
    for method in ("PUT", "PATCH"):
        yield Case(f"{method} /catalog/{{e}}", lambda _, m=method: edited(m))
    yield Case("DELETE /catalog/{e}", lambda _: ("DELETE", f"/catalog/{new_entry()}", None), 204)
    yield Case("GET /courses?term", lambda _: ("GET", "/courses?term=RULES&limit=20", None))
    yield Case(
        "GET /courses?catalog_code", lambda _: ("GET", "/courses?catalog_code=ALGEBRA", None)
    )
    yield Case("GET /courses/{c} of a term", lambda _: ("GET", f"/courses/{ruled}", None))
    yield Case(
        "POST /students/{s}/courses of a term",
        lambda _: ("POST", f"/students/{student()}/courses", {"course_id": ruled}),
        201,
    )
    yield Case(
        "POST /students/{s}/courses refused by rules",
        lambda _: ("POST", f"/students/{student()}/courses", {"course_id": restricted}),
        409,
    )
    yield Case(
        f"POST /courses/{{c}}/students of {MANY} in a term",
        lambda _: (
            "POST",
            f"/courses/{ruled}/students",
            {"student_ids": [student() for _ in range(MANY)]},
        ),
        201,
    )
