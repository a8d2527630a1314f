"""Finds the tables that PostgreSQL's plans read from end to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.inside import Sent

BIG = frozenset(
    ("students", "courses", "student_courses", "enrollment_events", "completions", "student_groups")
)


def scanned(cursor: Any, sent: Iterable[Sent]) -> list[str]:
    """The big tables that one of the statements `sent` reads from end to end (a sequential scan).

    `cursor` must belong to the connection that sent the statements, because a prepared statement
    has its plan there.
    """
    found: set[str] = set()
    for text, values in sent:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {text}", values)
        found |= {
            node["Relation Name"]
            for node in _nodes(cursor.fetchone()[0][0]["Plan"])
            if node["Node Type"] == "Seq Scan"
        }
    return sorted(found & BIG)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
