"""Every list: its first page, a middle page and its last page, in every order and with filters."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.side import GROUP, Side
from course_management.core import text
from course_management.courses import queries as courses
from course_management.db import keyset
from course_management.db.keyset import Listing
from course_management.students import queries as students

LIMIT = 20

Asked = tuple[str, str, Any]  # method, address, body


class Case(NamedTuple):
    """A kind of request: its label, a function that builds one, and the expected status.

    A kind that is `excepted` may get slower as a school grows.
    """

    label: str
    make: Callable[[Side], Asked]
    status: int = 200
    excepted: bool = False


class Whole(NamedTuple):
    """A list of all courses or of all students, and the filters to measure."""

    path: str
    listing: Listing
    filters: tuple[dict[str, Any], ...]


COURSES = Whole(
    "/courses",
    courses.LISTING,
    (
        {},
        *({"level": "junior"}, {"external_id": "none"}),
        *({"status": "open"}, {"status": "closed"}),
        *({"open": True}, {"open": False}, {"level": "junior", "open": True}),
        {"q": "logic"},
    ),
)
STUDENTS = Whole(
    "/students",
    students.LISTING,
    (
        *({}, {"email": "student77@example.edu"}, {"external_id": "none"}, {"q": "zoë"}),
        {"group": GROUP},
    ),
)


def sorts(listing: Listing) -> list[str]:
    """Every value of the parameter `sort`."""
    return [sign + name for name in listing.sorts for sign in ("", "-")]


def whole(side: Side) -> Iterator[Case]:
    """The lists of all courses and of all students."""
    for of in (COURSES, STUDENTS):
        for filters in of.filters:
            for sort in sorts(of.listing):
                given = {"sort": sort, **filters}
                for place, cursor in cursors(side, of, given).items():
                    query = {name: str(value).lower() for name, value in given.items()}
                    address = f"{of.path}?{urlencode({'limit': LIMIT, **query} | cursor)}"
                    label = f"{of.path}?{'&'.join(f'{n}={v}' for n, v in query.items())} {place}"
                    excepted = "q" in filters and (of is COURSES or sort.endswith("name"))
                    yield Case(
                        label, lambda _, address=address: ("GET", address, None), excepted=excepted
                    )


def cursors(side: Side, of: Whole, given: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The cursors of the first, a middle and the last page, as in the `Link` headers."""
    middle = (side.students if of is STUDENTS else side.courses) // 2
    around = page(
        side,
        of,
        {**given, "sort": "id"},
        1,
        _cursor(of.listing, {**given, "sort": "id"}, {"id": middle}),
    )
    reverse = given["sort"][1:] if given["sort"][0] == "-" else f"-{given['sort']}"
    end = page(side, of, {**given, "sort": reverse}, LIMIT + 1)
    found = {"first": {}}
    if around:
        found["middle"] = {"cursor": _cursor(of.listing, given, around[0])}
    if len(end) > LIMIT:
        found["last"] = {"cursor": _cursor(of.listing, given, end[LIMIT])}
    return found


def page(
    side: Side, of: Whole, given: dict[str, Any], limit: int, cursor: str | None = None
) -> list[dict[str, Any]]:
    """The items of a page."""
    query = {"limit": limit, **{n: str(v).lower() for n, v in given.items()}} | (
        {"cursor": cursor} if cursor else {}
    )
    return list(side.ask("GET", f"{of.path}?{urlencode(query)}").json)


def _cursor(listing: Listing, given: dict[str, Any], item: dict[str, Any]) -> str:
    """The cursor of the page after `item`."""
    filters = {**given}
    sort = filters.pop("sort")
    fold = students.folded if listing.name.startswith("students") else courses.folded
    folded = fold(filters)
    if "external_id" in folded:
        folded["external_id"] = [folded["external_id"]]
    if listing is students.LISTING:
        listing = students.listing_of(given)
    identity = zlib.crc32(repr((listing.name, sort, sorted(folded.items()))).encode())
    field = sort.lstrip("-")
    return keyset._encode(
        identity, text.key(item["name"]) if field == "name" else item[field], item["id"]
    )


def within(side: Side) -> Iterator[Case]:
    """The lists of one student or one course, and the waitlist of a full course."""
    of_student = [f"sort={sort}" for sort in sorts(courses.LISTING)] + [
        "level=junior",
        "open=true",
        "state=enrolled",
        "q=logic",
    ]
    of_course = [f"sort={sort}" for sort in sorts(students.LISTING)]
    course = side.course()
    email = side.ask("GET", f"/courses/{course}/students?limit=1").json[0]["email"]
    of_course += [f"email={email}", "external_id=none", "state=enrolled", "q=zo%C3%AB"]
    for query in of_student:
        yield Case(
            f"/students/{{s}}/courses?{query}",
            lambda s, q=query: ("GET", f"/students/{s.student()}/courses?{q}", None),
        )
    yield Case("/students/{s}/history", lambda s: ("GET", f"/students/{s.student()}/history", None))
    for path, queries in (("students", of_course), ("history", [""])):
        for query in queries:
            links = list(walk(side, f"/courses/{course}/{path}?limit={LIMIT}&{query}"))
            places = (
                {"first": 0, "middle": len(links) // 2, "last": -1}
                if len(links) > 2
                else {"first": 0}
            )
            for place, i in places.items():
                address, shown = links[i], query.partition("@")[0]
                yield Case(
                    f"/courses/{{c}}/{path}{shown and '?'}{shown} {place}",
                    lambda _, address=address: ("GET", address, None),
                )
    yield Case(
        "/courses/{full}/students?state=waitlisted",
        lambda s: ("GET", f"/courses/{s.full}/students?state=waitlisted", None),
    )


def walk(side: Side, address: str) -> Iterator[str]:
    """The addresses of all pages of a list, read from the `Link` headers."""
    while address:
        yield address
        link = re.match("<(.*)>", side.ask("GET", address).headers.get("Link", ""))
        address = link[1] if link else ""
