"""The result of a storm: what it prints and draws, and whether the data is right."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from benchmarks.client import Answer
from benchmarks.opening import Opening
from benchmarks.picture import KINDS, TOO_EARLY, Chart, draw
from benchmarks.stage import flask

Samples = list[tuple[float, int, int]]  # time, seats taken, length of the waitlist


@dataclass(frozen=True)
class Size:
    """The numbers of students, seats and connections."""

    students: int
    seats: int
    connections: int


@dataclass(frozen=True)
class Storm:
    """The responses to a storm, its start and that of the race (in seconds of
    `time.perf_counter`), and the duration of the race in seconds.

    If a window opened, `opening` has the requests before. Those that were granted are among
    `enrolls` too.
    """

    began: float
    race_began: float
    seconds: float
    enrolls: list[Answer]
    drops: list[Answer]
    opening: Opening | None = None


@dataclass(frozen=True)
class Found:
    """What the database says afterwards: the seats taken, the times of promotions and of the first
    seat (seconds since 1970), and the result of the audit.
    """

    seated: int
    promotions: list[float]
    first: float | None
    audit: str
    clean: bool


def kind(answer: Answer) -> str:
    """The kind of a response, one of `KINDS` or TOO_EARLY."""
    if answer.status == 201:
        return "waitlisted 201" if b'"added":[]' in answer.body else "enrolled 201"
    if answer.status == 409 and b"registration-not-open" in answer.body:
        return TOO_EARLY
    return {204: "drops 204", 409: "refused 409"}.get(answer.status, "errors")


def report(url: str, size: Size, done: Storm, course: int, samples: Samples, picture: Path) -> int:
    """Print the result of the storm and draw it. Returns 1 if the data is wrong, else 0."""
    found = find(url, course)
    oversold = max(0, found.seated - size.seats)
    opening = done.opening
    faults = opening.faults(done.enrolls, found.first) if opening else []
    answers = done.enrolls + done.drops
    took = sorted(answer.came - answer.sent for answer in done.enrolls)
    print(
        f"{size.students} students, {size.seats} seats, {size.connections} connections, "
        f"{len(done.drops)} seats given back on the way"
    )
    if opening:
        told = Counter(kind(answer) for answer in opening.refused)
        print(f"before      {len(opening.early)} requests, {told[TOO_EARLY]} of them too early")
    print(f"responses   {_statuses(done.enrolls)}, drops {_statuses(done.drops)}")
    print(f"seconds     {done.seconds:.2f} ({len(answers) / done.seconds:.0f} responses/s)")
    print(
        f"response    p50 {1000 * took[len(took) // 2]:.1f} ms, p99 "
        f"{1000 * took[int(len(took) * 0.99)]:.1f} ms"
    )
    print(f"promotions  {len(found.promotions)}")
    print(f"oversold    {oversold}")
    if opening:
        print(f"opening     {'; '.join(faults) or 'right'}")
    print(f"audit       {'clean' if found.clean else 'VIOLATED'}")
    if not found.clean:
        print(found.audit)
    draw(picture, chart(size, done, found, samples))
    print(f"picture     {picture}")
    return int(not found.clean or oversold > 0 or bool(faults))


def find(url: str, course: int) -> Found:
    """Read the seats and the history of the course, and audit the data."""
    connection = psycopg2.connect(url)
    cursor = connection.cursor()

    def rows(query: str) -> list[tuple[float, ...]]:
        cursor.execute(query, (course,))
        return list(cursor.fetchall())

    seats = "SELECT count(*) FROM student_courses WHERE course_id = %s AND state = 'enrolled'"
    times = "SELECT extract(epoch FROM at)::float FROM enrollment_events WHERE course_id = %s"
    ((seated,),) = rows(seats)
    promotions = [at for (at,) in rows(f"{times} AND why = 'promoted'")]
    first = rows(f"{times} AND to_state IS NOT NULL ORDER BY at LIMIT 1")
    connection.close()
    audit = flask(url, "audit")
    return Found(
        *(int(seated), promotions, first[0][0] if first else None),
        *(audit.stdout, audit.returncode == 0),
    )


def chart(size: Size, done: Storm, found: Found, samples: Samples) -> Chart:
    """The content of the chart."""
    answers, kinds = done.enrolls + done.drops, list(KINDS)
    if done.opening:
        answers, kinds = answers + done.opening.refused, [*kinds, TOO_EARLY]
    # the start of the storm in the time of the database
    since = done.began + time.time() - time.perf_counter()
    opened = done.opening.at - since if done.opening else None
    given_back = tuple(answer.came - done.began for answer in done.drops)
    oversold = max(0, found.seated - size.seats)
    return Chart(
        verdict=f"{found.seated:,} of {size.seats:,} seats taken, {oversold:,} oversold",
        summary=f"{size.students:,} students race for {size.seats:,} seats over "
        f"{size.connections:,} connections: {len(done.enrolls + done.drops):,} responses"
        f" in {done.seconds:.1f} s, audit {'clean' if found.clean else 'VIOLATED'}",
        capacity=size.seats,
        end=done.race_began - done.began + done.seconds,
        samples=[(at - done.began, seats, waitlist) for at, seats, waitlist in samples],
        promotions=[at - since for at in found.promotions],
        responses={
            name: [answer.came - done.began for answer in answers if kind(answer) == name]
            for name in kinds
        },
        given_back=(min(given_back), max(given_back)) if given_back else None,
        opened=opened,
    )


def _statuses(answers: list[Answer]) -> dict[int, int]:
    return dict(sorted(Counter(answer.status for answer in answers).items()))
