"""Rows that are named by external id: all routes, and the batch of students."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.lists import Asked, Case
from benchmarks.side import Side

MANY = 50  # students in one batch
RESOURCES: dict[str, dict[str, Any]] = {"students": {}, "courses": {"level": "senior"}}


def external_ids(side: Side) -> Iterator[Case]:
    """All kinds of requests to these routes. Each one finds the row that it needs."""
    numbers = count(1)

    def new(kind: str) -> Asked:
        name = f"Bench {next(numbers)}"
        path = f"/{kind}/by-external-id/{name.replace(' ', '-')}"
        return "PUT", path, {"name": name, **RESOURCES[kind]}

    def made(kind: str) -> str:
        """The address of a new row."""
        method, path, body = new(kind)
        side.ask(method, path, body)
        return path

    def batch() -> Asked:
        rows = [{"external_id": f"batch-{next(numbers)}", "name": "Ada"} for _ in range(MANY)]
        return "POST", "/students/batch", {"items": rows}

    for kind in RESOURCES:
        path = f"/{kind}/by-external-id/{{e}}"
        yield Case(f"PUT {path} new", lambda _, k=kind: new(k), 201)
        yield Case(f"GET {path}", lambda _, k=kind: ("GET", made(k), None))
        for method in ("PUT", "PATCH"):
            yield Case(
                f"{method} {path}",
                lambda _, k=kind, m=method: (m, p := made(k), {"name": p.rpartition("/")[2]}),
            )
        yield Case(f"DELETE {path}", lambda _, k=kind: ("DELETE", made(k), None), 204)
    yield Case(f"POST /students/batch of {MANY}", lambda _: batch())
