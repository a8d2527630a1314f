"""A storm that begins when a registration window opens: its term, the requests that come too early,
and the checks that nobody got a seat before.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

from benchmarks.client import Answer, Connection
from devtools.gunicorn import Gunicorn

TERM = {
    "code": "STORM",
    "name": "Storm",
    "starts_on": "2126-08-26",
    "ends_on": "2126-12-18",
    "time_zone": "America/Chicago",
    "max_credits": 18,
}
ENTRY = {"code": "STORM 101", "title": "Storms", "credits_min": 3}
MEETING = {"days": ["mon", "wed"], "starts": "09:30", "ends": "10:45"}
OF_TERM = {"term": "STORM", "catalog_code": "STORM 101", "meetings": [MEETING]}


@dataclass(frozen=True)
class Opening:
    """The moment at which a window opens, in seconds since 1970, and the answers to requests that
    were sent before, each with its student.
    """

    at: float
    early: list[tuple[int, Answer]]

    @property
    def seated(self) -> list[tuple[int, Answer]]:
        """The early requests that were granted, because the service received them in time."""
        return [pair for pair in self.early if pair[1].status == 201]

    @property
    def refused(self) -> list[Answer]:
        """The other early requests."""
        return [answer for _, answer in self.early if answer.status != 201]

    def faults(self, answers: list[Answer], first_event: float | None) -> list[str]:
        """What the service did wrong at the opening. `answers` are those to all requests for a
        seat, and `first_event` is the time of the first seat or waitlist position in the history.
        """
        began = self.at - time.time() + time.perf_counter()
        found = []
        if any(answer.status == 201 and answer.came < began for answer in answers):
            found.append("a request was granted before the window opened")
        if first_event is not None and first_event < self.at:
            found.append("the history has a seat from before the window opened")
        if any(not self._is_told(answer) for answer in self.refused):
            found.append("an early request was not told when the window opens")
        if any(answer.sent >= began and _is_early(answer) for answer in answers):
            found.append("a request was refused after the window had opened")
        return found

    def _is_told(self, answer: Answer) -> bool:
        """Whether a refusal says that registration is not open, and when it opens."""
        if not _is_early(answer):
            return False
        told = datetime.fromisoformat(json.loads(answer.body)["broken"][0]["facts"]["opens_at"])
        return abs(told.timestamp() - self.at) < 0.001


def _is_early(answer: Answer) -> bool:
    if answer.status != 409 or b"/problems/rules-broken" not in answer.body:
        return False
    return {one["rule"] for one in json.loads(answer.body)["broken"]} == {"registration-not-open"}


def make_term(service: Gunicorn, seconds: float) -> float:
    """Create the term, with a window that opens in so many seconds, and its catalog entry. Returns
    the moment, in seconds since 1970.
    """
    opens = datetime.fromtimestamp(round(time.time() + seconds, 3), UTC)
    window = {"group": None, "opens_at": opens.isoformat(), "closes_at": "2126-08-26T00:00:00Z"}
    for method, path, body in (
        ("POST", "/terms", TERM),
        ("POST", "/catalog", ENTRY),
        ("PUT", "/terms/STORM/windows", {"windows": [window]}),
    ):
        answer = service.request(method, path, body)
        assert answer.status < 300, answer
    return opens.timestamp()


async def hammer(
    port: int, requests: list[tuple[int, tuple[Any, ...]]], connections: int, until: float
) -> Opening:
    """Send `requests`, each with its student, again and again, until the moment `until`."""
    early: list[tuple[int, Answer]] = []

    async def work(mine: list[tuple[int, tuple[Any, ...]]]) -> None:
        connection = Connection(port)
        for student, request in cycle(mine):
            if time.time() >= until:
                break
            answer = await connection.request(*request)
            early.append((student, answer))
            if answer.status == 201:  # the window opened meanwhile
                break
        if connection.writer:
            connection.writer.close()

    await asyncio.gather(*(work(requests[i::connections]) for i in range(connections)))
    return Opening(until, early)
