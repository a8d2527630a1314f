"""Students of a course without a capacity are counted on request only."""

from __future__ import annotations

import pytest

APP = "https://app.example.edu"


@pytest.fixture
def course(make):
    return make.course()["id"]


@pytest.fixture
def roster(client, make, course):
    """Reads the roster of a course of three, with the header `Prefer` given."""
    for name in ("Ada", "Adam", "Bo"):
        client.post(
            f"/courses/{course}/students", json={"student_ids": [make.student(name=name)["id"]]}
        )

    def read(prefer, query="", method="get"):
        headers = {"Prefer": prefer} if prefer is not None else {}
        return getattr(client, method)(f"/courses/{course}/students{query}", headers=headers)

    return read


@pytest.mark.usefixtures("roster")
def test_reading_a_course_without_limit_counts_nobody(client, course, statements):
    with statements() as sent:
        assert client.get(f"/courses/{course}").json["seats_taken"] is None
    assert len(sent) == 1
    assert "count(" not in sent[0]
    changes = ((client.patch, {"level": "a"}), (client.put, {"level": "b"}))
    for method, body in changes:
        with statements() as sent:
            assert method(f"/courses/{course}", json=body).json["seats_taken"] is None
        assert "count(" not in "".join(sent)
    assert client.post("/courses", json={"name": "n", "level": "x"}).json["seats_taken"] is None


def test_the_tag_of_an_unlimited_course_works_for_reading_and_editing(client, course):
    path = f"/courses/{course}"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    changed = client.patch(path, json={"level": "new"}, headers={"If-Match": tag})
    assert (changed.status_code, client.get(path).headers["ETag"]) == (200, changed.headers["ETag"])
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200
    assert client.patch(path, json={"level": "newer"}, headers={"If-Match": tag}).status_code == 412
    limited = client.patch(
        path, json={"capacity": 5}, headers={"If-Match": changed.headers["ETag"]}
    )
    assert limited.json["seats_taken"] == 0


@pytest.mark.parametrize(
    "prefer",
    [
        "count=exact",
        "Count = exact",
        'respond-async, count="exact"; why=here',
        "return=minimal,count=EXACT",
        "count=exact, count=no",
    ],
)
def test_a_roster_is_counted_if_the_client_prefers_it(roster, prefer):
    for method in ("get", "head"):
        answer = roster(prefer, method=method)
        assert (answer.headers["Total-Count"], answer.headers["Preference-Applied"]) == (
            "3",
            "count=exact",
        )
        assert "Prefer" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "prefer",
    [
        None,
        "",
        "count",
        "count=planned",
        "counted=exact",
        "count=no, count=exact",
        '"count=exact',
        ",;=",
    ],
)
def test_a_roster_is_not_counted_otherwise(roster, statements, prefer):
    with statements() as sent:
        answer = roster(prefer)
    assert (answer.status_code, len(answer.json), len(sent)) == (200, 3, 1)
    assert not {"Total-Count", "Preference-Applied"} & set(answer.headers.keys())
    assert "Prefer" in answer.headers["Vary"]


def test_the_count_respects_the_filters_and_covers_all_pages(client, make, roster):
    for query, total in (
        ("?q=ada", 2),
        ("?limit=1", 3),
        ("?state=enrolled&sort=-name&limit=2", 3),
        ("?state=waitlisted", 0),
    ):
        assert roster("count=exact", query).headers["Total-Count"] == str(total), query
    second = roster("count=exact", "?limit=2").headers["Link"]
    answer = client.get(second[1 : second.index(">")], headers={"Prefer": "count=exact"})
    assert (len(answer.json), answer.headers["Total-Count"]) == (1, "3")
    limited = make.course(name="Logic", capacity=0, waitlist_capacity=None)["id"]
    client.post(
        f"/courses/{limited}/students",
        json={"student_ids": [make.student()["id"]], "waitlist": True},
    )
    for query, total in (("", "1"), ("?state=enrolled", "0"), ("?state=waitlisted", "1")):
        assert (
            client.get(
                f"/courses/logic/students{query}", headers={"Prefer": "count=exact"}
            ).headers["Total-Count"]
            == total
        )


def test_a_page_of_a_listed_origin_may_request_and_read_the_count(app, make_app, course):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(url, cors_origins=(APP,)).test_client()
    asked = client.options(
        f"/courses/{course}/students",
        headers={"Origin": APP, "Access-Control-Request-Method": "GET"},
    )
    assert "Prefer" in asked.headers["Access-Control-Allow-Headers"].split(", ")
    answer = client.get(
        f"/courses/{course}/students", headers={"Origin": APP, "Prefer": "count=exact"}
    )
    assert {"Total-Count", "Preference-Applied"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )


def test_the_openapi_document_declares_the_count(client):
    operation = client.get("/openapi.json").json["paths"]["/courses/{course}/students"]["get"]
    (prefer,) = [one for one in operation["parameters"] if one.get("name") == "Prefer"]
    assert prefer["in"] == "header"
    assert {"Total-Count", "Preference-Applied"} <= set(operation["responses"]["200"]["headers"])
