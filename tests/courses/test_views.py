"""Courses over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.web.problems import problem


def test_post_returns_the_address_and_the_tag(client):
    answer = client.post("/courses", json={"name": " Linear  Algebra ", "level": "sophomore"})
    course = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (
        201,
        f"/api/v1/courses/{course['id']}",
    )
    assert answer.headers["ETag"] == f'"{course["id"]}-1"'
    assert (course["name"], course["level"], course["external_id"]) == (
        "Linear  Algebra",
        "sophomore",
        None,
    )
    assert client.get(answer.headers["Location"]).json == course


def test_routes_work_with_and_without_the_prefix(client, make):
    course = make.course()
    assert client.get("/courses").json == client.get("/api/v1/courses").json == [course]
    assert (
        client.get(f"/courses/{course['id']}").json
        == client.get(f"/api/v1/courses/{course['id']}").json
        == course
    )


@pytest.mark.parametrize(
    "name",
    [
        "Input/Output",
        "C++",
        "50% Off?",
        "Физика",
        "a#b",
        "a//b",
        "日本語 入門",
        "Straße",
        "/",
        "a/students",
        "7th Grade",
        "...",
    ]
    + ["a%2Fb", "٣", "1.0/2", "a&b=c;d", "students", '"quoted"', "\\", "é", "x" * 200, "ΐ" * 200],
)
def test_a_course_is_read_by_its_percent_encoded_name(client, make, name):
    course = make.course(name=name)
    for spelling in (name, name.upper(), name.lower(), name.casefold()):
        answer = client.get("/courses/" + quote(spelling, safe=""))
        assert (answer.status_code, answer.json) == (200, course), spelling


@pytest.mark.parametrize(
    "name", ["7", "007", "7/a", "7/", ".", "..", "a/..", "../a", "a/./b", "9" * 100]
)
def test_a_name_that_cannot_be_an_address_is_refused(client, make, name):
    answer = client.post("/courses", json={"name": name, "level": "x"})
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"] == "/name"
    course = make.course()
    assert problem(client.patch(f"/courses/{course['id']}", json={"name": name})) == (
        422,
        "invalid",
    )


def test_names_are_unique_ignoring_case(client, make):
    first = make.course(name="Straße", external_id="1")
    second = make.course(name="Other")
    assert problem(client.post("/courses", json={"name": "STRASSE", "level": "x"})) == (
        409,
        "course-name-taken",
    )
    assert problem(client.put(f"/courses/{second['id']}", json={"name": "strasse"})) == (
        409,
        "course-name-taken",
    )
    assert problem(client.patch("/courses/other", json={"external_id": "1"})) == (
        409,
        "external-id-taken",
    )
    assert client.put(f"/courses/{first['id']}", json={"name": "STRASSE"}).json["name"] == "STRASSE"


def test_put_by_name_sets_the_level_and_renames(client, make):
    course = make.course(name="Physics", external_id="p")
    changed = client.put("/courses/PHYSICS", json={"level": "senior"}).json
    assert changed == {
        **course,
        "level": "senior",
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    renamed = client.put("/courses/physics", json={"name": "Optics"}).json
    assert (renamed["name"], renamed["level"], renamed["external_id"]) == ("Optics", "senior", "p")
    assert problem(client.get("/courses/physics")) == (404, "course-not-found")
    assert client.get("/courses/optics").json == renamed


def test_a_merge_patch_clears_with_null(client, make):
    course = make.course(external_id="x")
    answer = client.patch(
        f"/courses/{course['id']}",
        data=b'{"external_id": null}',
        content_type="application/merge-patch+json",
    )
    assert answer.json["external_id"] is None


def test_a_course_with_students_cannot_be_deleted(client, make):
    course, student = make.course(name="Full"), make.student()
    client.post(f"/students/{student['id']}/enroll", json={"course_ids": [course["id"]]})
    assert problem(client.delete("/courses/full")) == (409, "course-has-students")
    client.post("/courses/full/drop", json={"student_ids": [student["id"]]})
    assert client.delete("/courses/full").status_code == 204
    assert problem(client.delete("/courses/full")) == (404, "course-not-found")


def test_enrolling_changes_neither_version_nor_date(client, make):
    course, student = make.course(), make.student()
    client.post(f"/students/{student['id']}/enroll", json={"course_ids": [course["id"]]})
    assert client.get(f"/courses/{course['id']}").json == course


def test_an_id_is_never_used_again(client, make):
    last = make.course()
    client.delete(f"/courses/{last['id']}")
    assert make.course()["id"] > last["id"]


@pytest.mark.parametrize(
    "course",
    [
        "0",
        "999999999",
        "9223372036854775808",
        "007",
        "nobody",
        "%00",
        "%FF",
        "%20",
        "%ED%A0%80",
        "a%0Ab",
    ],
)
def test_an_unknown_course_gets_404(client, course):
    for method, body in (
        ("get", {}),
        ("put", {"json": {}}),
        ("patch", {"json": {}}),
        ("delete", {}),
    ):
        assert problem(getattr(client, method)(f"/courses/{course}", **body)) == (
            404,
            "course-not-found",
        )
    assert problem(client.get(f"/courses/{course}/students")) == (404, "course-not-found")


def test_courses_are_filtered_by_level_external_id_and_part_of_the_name(client, make):
    make.course(name="Algebra I", level="junior", external_id="1")
    make.course(name="50%_Off", level="junior")
    make.course(name="STRASSE", level="Junior")

    def names(query: str) -> list[str]:
        return [course["name"] for course in client.get(f"/courses?{query}").json]

    assert names("level=junior") == ["Algebra I", "50%_Off"]
    assert names("external_id=1") == ["Algebra I"]
    assert names("q=GEB") == ["Algebra I"]
    assert names("q=ra&level=junior") == ["Algebra I"]
    assert names("q=%25_") == names("q=%25") == names("q=_") == ["50%_Off"]
    assert names("q=ß") == ["STRASSE"]
    assert names("q=/") == names("level=none") == []


def test_courses_are_sorted(client, make):
    for name, level in (
        ("b", "2"),
        ("Ä", "1"),
        ("a", "2"),
        ("Zz", "1"),
        ("😀", "3"),
        ("ﬀ", "3"),
        ("𝔸", "3"),
        ("～", "3"),
    ):
        make.course(name=name, level=level)

    def names(sort: str) -> list[str]:
        return [course["name"] for course in client.get(f"/courses?sort={sort}").json]

    by_key = ["a", "b", "ﬀ", "Zz", "Ä", "～", "𝔸", "😀"]  # by the code points of the folded names
    assert names("name") == by_key
    assert names("-name") == by_key[::-1]
    assert names("created_at") == names("id") == ["b", "Ä", "a", "Zz", "😀", "ﬀ", "𝔸", "～"]
    assert names("-created_at") == names("-id") == ["～", "𝔸", "ﬀ", "😀", "Zz", "a", "Ä", "b"]
    assert names("level") == ["Ä", "Zz", "b", "a", "😀", "ﬀ", "𝔸", "～"]


def test_only_the_levels_of_the_settings_are_accepted(make_app, migrated, app):
    url = migrated.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(url, course_levels=("freshman", "senior")).test_client()
    assert client.post("/courses", json={"name": "A", "level": " senior "}).status_code == 201
    answer = client.post("/courses", json={"name": "B", "level": "Senior"})
    assert answer.json["errors"] == [
        {"pointer": "/level", "detail": "Must be one of: freshman, senior."}
    ]
    assert client.get("/openapi.json").json["components"]["schemas"]["CourseIn"]["properties"][
        "level"
    ]["enum"] == [
        "freshman",
        "senior",
    ]
