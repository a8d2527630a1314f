"""Every list shows every row once if a client follows its links."""

from __future__ import annotations

import base64
import json
import re
import threading
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_management.db.transaction import transaction
from course_management.students.models import Student
from tests.web.problems import problem

quick = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def next_of(answer):
    link = answer.headers.get("Link")
    return link and re.fullmatch('<(.*)>; rel="next"', link).group(1)


def walk(client, address, between=lambda: None):
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        yield from answer.json
        address = next_of(answer)
        between()


@pytest.fixture
def crowd(app):
    """57 students, many with the same name and the same time."""
    with app.app_context(), transaction(writing=True) as session:
        session.add_all(Student(name=f"Näme {i % 5}", external_id=str(i)) for i in range(57))
    return 57


@quick
@given(
    limit=st.integers(1, 60),
    sort=st.sampled_from(["id", "-id", "name", "-name", "created_at", "-created_at"]),
)
def test_every_student_appears_once_in_order(client, crowd, limit, sort):
    whole = client.get(f"/students?sort={sort}").json
    walked = list(walk(client, f"/api/v1/students?limit={limit}&sort={sort}"))
    assert walked == whole
    assert len(whole) == crowd
    field = sort.lstrip("-")
    keys = [
        (student[field].casefold() if field == "name" else student[field], student["id"])
        for student in walked
    ]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "-created_at"])
def test_every_student_appears_once_while_others_are_created_and_deleted(client, make, crowd, sort):
    there = {student["id"] for student in client.get("/students").json}
    gone = []

    def between():
        make.student(name="Näme 2")
        if len(gone) < 5:
            gone.append(client.delete(f"/students/{min(there) + 3 * len(gone)}"))

    seen = [student["id"] for student in walk(client, f"/students?limit=7&sort={sort}", between)]
    assert len(seen) == len(set(seen))
    assert {i for i in there if client.get(f"/students/{i}").status_code == 200} <= set(seen)


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    limit=st.integers(3, 20),
    sort=st.sampled_from(["id", "-id", "name", "-name", "created_at", "-created_at"]),
)
def test_every_student_appears_once_while_others_are_inserted(app, client, crowd, limit, sort):
    there = {student["id"] for student in client.get("/students?limit=200").json[:crowd]}
    done, statuses = threading.Event(), []

    def insert():
        other = app.test_client()
        while not done.is_set() and len(statuses) < 60:
            statuses.append(
                other.post("/students", json={"name": f"Näme {len(statuses) % 5}"}).status_code
            )

    threads = [threading.Thread(target=insert) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        seen = [student["id"] for student in walk(client, f"/students?limit={limit}&sort={sort}")]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {201}
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


def test_filters_apply_to_all_pages(client, crowd):
    names = [
        student["name"] for student in walk(client, "/students?q=n%C3%84me%201&limit=2&sort=name")
    ]
    assert names == ["Näme 1"] * 12


def test_the_lists_below_a_student_and_a_course(client, make):
    student = make.student()["id"]
    courses = [make.course()["id"] for _ in range(7)]
    client.post(f"/students/{student}/enroll", json={"course_ids": courses})
    assert [
        c["id"] for c in walk(client, f"/students/{student}/courses?limit=2&sort=-name")
    ] == courses[::-1]
    others = [make.student()["id"] for _ in range(5)]
    client.post(f"/courses/{courses[0]}/students", json={"student_ids": others})
    assert [s["id"] for s in walk(client, f"/courses/{courses[0]}/students?limit=2")] == [
        student,
        *others,
    ]


def test_a_cursor_of_another_list_is_refused(client, make, crowd):
    a, b = make.student()["id"], make.student()["id"]
    courses = [make.course()["id"] for _ in range(3)]
    for student in (a, b):
        client.post(f"/students/{student}/enroll", json={"course_ids": courses})
    cursor = re.search(
        "cursor=([^&]*)", next_of(client.get(f"/students/{a}/courses?limit=1"))
    ).group(1)
    for foreign in (
        "/courses?",
        "/students?",
        f"/students/{b}/courses?",
        f"/students/{a}/courses?sort=name&",
        f"/students/{a}/courses?q=c&",
    ):
        assert problem(client.get(f"{foreign}cursor={cursor}")) == (422, "invalid"), foreign
    assert client.get(f"/students/{a}/courses?limit=2&cursor={cursor}").status_code == 200


@quick
@given(cut=st.integers(0, 200), change=st.sampled_from("abAB019=-_"))
def test_a_malformed_cursor_is_never_a_500(client, crowd, cut, change):
    for sort in ("id", "name", "-created_at"):
        cursor = re.search(
            "cursor=([^&]*)", next_of(client.get(f"/students?limit=1&sort={sort}"))
        ).group(1)
        at = cut % len(cursor)
        for padded in (
            f"!{cursor}",
            f"{cursor}====",
            f"{cursor}!!",
            f"{cursor[:5]}%20{cursor[5:]}",
        ):
            assert problem(client.get(f"/students?limit=1&sort={sort}&cursor={padded}")) == (
                422,
                "invalid",
            )
        for broken in (cursor[:at], change + cursor):
            assert problem(client.get(f"/students?limit=1&sort={sort}&cursor={broken}")) == (
                422,
                "invalid",
            )
        changed = cursor[:at] + change + cursor[at + 1 :]
        answer = client.get(f"/students?limit=1&sort={sort}&cursor={changed}")
        assert answer.status_code == (200 if is_position(changed, cursor, sort) else 422), changed


def is_position(cursor, of, sort):
    """Whether `cursor` names a position of the list that gave the cursor `of`: its identity, a
    value of the sort column and an id, encoded as the service encodes them.
    """
    identity = json.loads(decoded(of))[0]
    try:
        check, after, after_id = position = json.loads(decoded(cursor))
        text = json.dumps(position, ensure_ascii=False, separators=(",", ":"))
        if encoded(text) != cursor or check != identity:
            return False
        if sort == "-created_at":
            datetime.fromisoformat(after).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return False
    fits = {
        "id": type(after) is int and 0 < after < 2**63,
        "name": type(after) is str and "\0" not in after,
        "-created_at": True,
    }
    return fits[sort] and type(after_id) is int and 0 < after_id < 2**63


def decoded(cursor):
    return base64.urlsafe_b64decode(cursor + "==")


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("after", "accepted"),
    [
        ("null", []),
        ("7", ["id"]),
        ('"x"', ["name"]),
        ("[]", []),
        ('"2026-01-01T00:00:00"', ["name", "created_at"]),
        ("true", []),
        ('"0001-01-01T00:00:00+23:59"', ["name"]),
        ('"9999-12-31T23:59:59-23:59"', ["name"]),
        ('"a\\u0000"', []),
        ("0", []),
        ("9223372036854775807", ["id"]),
        ("9223372036854775808", []),
    ],
)
def test_a_forged_cursor_is_accepted_only_if_its_value_fits_the_sort(
    client, crowd, after, accepted
):
    for sort in ("id", "name", "created_at"):
        identity = zlib.crc32(repr(("students", sort, [])).encode())
        answer = client.get(f"/students?sort={sort}&cursor={encoded(f'[{identity},{after},1]')}")
        assert answer.status_code == (200 if sort in accepted else 422), sort


@pytest.mark.parametrize("after_id", ["0", "-1", "9223372036854775808", "1.0", "true", '"1"'])
def test_a_forged_cursor_with_a_bad_id_is_refused(client, crowd, after_id):
    identity = zlib.crc32(repr(("students", "id", [])).encode())
    forged = encoded(f"[{identity},7,{after_id}]")
    assert problem(client.get(f"/students?sort=id&cursor={forged}")) == (422, "invalid")


def test_a_page_has_200_items_by_default(client, app):
    with app.app_context(), transaction(writing=True) as session:
        session.add_all(Student(name=f"S {i}") for i in range(201))
    answer = client.get("/students")
    assert len(answer.json) == 200
    assert len(client.get(next_of(answer)).json) == 1


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("/students?limit=3", 1),
        ("/students?limit=50&sort=name&q=n", 1),
        ("/courses/{c}/students", 1),
        ("/students/{s}/courses", 1),
    ],
)
def test_a_page_costs_one_statement(client, make, crowd, statements, address, count):
    student, course = make.student()["id"], make.course()["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    with statements() as sent:
        assert client.get(address.format(s=student, c=course)).status_code == 200
    assert len(sent) == count


@pytest.mark.parametrize(
    "sort", ["id", "-id", "name", "-name", "level", "-level", "created_at", "-created_at"]
)
@pytest.mark.parametrize(
    "filters", [{"level": "b"}, {"open": "true"}, {"open": "false"}, {"level": "b", "open": "true"}]
)
def test_filtered_courses_in_every_order(client, make, filters, sort):
    """Fails without the bound that ends a partition, and if the cursor is compared without the
    partition column.
    """
    for i in range(12):
        make.course(level="abc"[i % 3], capacity=[None, 0, 1, 0][i // 3])
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    walked = list(walk(client, f"/courses?limit=2&sort={sort}&{query}"))
    level, is_open = filters.get("level"), filters.get("open")
    wanted = [
        course
        for course in client.get(f"/courses?sort={sort}").json
        if level in (None, course["level"])
        and is_open in (None, "false" if course["capacity"] == 0 else "true")
    ]
    assert walked == wanted
    assert len(wanted) == {1: 6 if "open" in filters else 4, 2: 2}[len(filters)]
