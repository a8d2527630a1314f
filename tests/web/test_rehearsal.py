"""`?dry_run=true`: the response of the write, and nothing else of it."""

from __future__ import annotations

import io
import json

import pytest
import sqlalchemy as sa

from course_management.db.base import Base
from course_management.db.transaction import transaction
from course_management.telemetry import logs

RECORDS = {
    "completion": {"catalog_code": "CS 1", "kind": "course", "external_id": "T-1"},
    "hold": {"code": "B", "detail": "A fee", "blocks": ["add"]},
    "override": {"rule": "hold", "catalog_code": "CS 1", "reason": "Paid"},
}


@pytest.fixture
def rows(app):
    """Every row of every table, except the moment at which an API key was last used."""

    def read():
        with app.app_context(), transaction(writing=False) as session:
            return {
                table.name: sorted(
                    tuple(str(value) for name, value in row._mapping.items() if name != "used_at")
                    for row in session.execute(sa.select(table))
                )
                for table in Base.metadata.sorted_tables
            }

    return read


@pytest.fixture
def world(make, client):
    """Ids: a student with a seat, one who waits for it, one with nothing, and three courses."""
    names = ("seated", "waiting", "other")
    ids = {name: make.student(external_id=f"X-{name}")["id"] for name in names}
    ids |= {"full": make.course(capacity=1, waitlist_capacity=5)["id"], "open": make.course()["id"]}
    ids["empty"] = make.course(name="Empty", external_id="X-empty")["id"]
    make.term(code="F")
    make.term(code="F1", parent="F")
    for code in ("CS 1", "CS 2"):
        assert client.post("/catalog", json=ENTRY | {"code": code}).status_code == 201
    make.course(term="F", catalog_code="CS 2")
    ids["gone"] = make.student(groups=["standing:new"])["id"]
    client.post(f"/students/{ids['gone']}/enroll", json={"course_ids": [ids["open"]]})
    client.delete(f"/students/{ids['gone']}/courses/{ids['open']}")
    for student in (ids["seated"], ids["waiting"]):
        body = {"course_ids": [ids["full"]], "waitlist": True}
        client.post(f"/students/{student}/enroll", json=body)
    for kind, body in RECORDS.items():
        made = client.post(f"/students/{ids['other']}/{kind}s", json=body)
        assert made.status_code == 201, made.text
        ids[kind] = made.json["id"]
    return ids


STUDENT_BY_EXTERNAL_ID = "/students/by-external-id"
COURSE_BY_EXTERNAL_ID = "/courses/by-external-id"
COMPLETION = "/students/{other}/completions/{completion}"
HOLD = "/students/{other}/holds/{hold}"
OVERRIDE = "/students/{other}/overrides/{override}"
TERM = {
    "code": "S",
    "name": "Spring",
    "starts_on": "2027-01-11",
    "ends_on": "2027-05-14",
    "time_zone": "UTC",
}
ENTRY = {"code": "CS 3", "title": "Logic", "credits_min": 3, "excludes": ["CS 4"]}
WINDOW = {"opens_at": "2026-11-02T08:00:00", "closes_at": "2026-11-06T17:00:00"}

# For each operation a request that succeeds and one that is refused, or None.
WRITES = {
    "createStudent": (
        ("POST", "/students", {"name": "Ada", "email": "ada@example.edu"}),
        ("POST", "/students", {"name": ""}),
    ),
    "updateStudent": (("PUT", "/students/{other}", {"name": "Ada"}), None),
    "patchStudent": (
        ("PATCH", "/students/{other}", {"name": "Ada"}),
        ("PATCH", "/students/999999", {"name": "Ada"}),
    ),
    "deleteStudent": (("DELETE", "/students/{seated}", None), None),
    "upsertStudentByExternalId": (
        ("PUT", f"{STUDENT_BY_EXTERNAL_ID}/new", {"name": "Ada", "groups": ["a"]}),
        ("PUT", f"{STUDENT_BY_EXTERNAL_ID}/new", {"email": "ada@example.edu"}),
    ),
    "upsertStudents": (
        ("POST", "/students/batch", {"items": [{"external_id": "X-other", "name": "Ada"}]}),
        ("POST", "/students/batch", {"items": [{"external_id": "new"}]}),
    ),
    "patchStudentByExternalId": (
        ("PATCH", f"{STUDENT_BY_EXTERNAL_ID}/X-other", {"name": "Ada"}),
        ("PATCH", f"{STUDENT_BY_EXTERNAL_ID}/new", {"name": "Ada"}),
    ),
    "deleteStudentByExternalId": (("DELETE", f"{STUDENT_BY_EXTERNAL_ID}/X-seated", None), None),
    "upsertCourseByExternalId": (
        ("PUT", f"{COURSE_BY_EXTERNAL_ID}/new", {"name": "Optics", "level": "x"}),
        ("PUT", f"{COURSE_BY_EXTERNAL_ID}/new", {"name": "empty", "level": "x"}),
    ),
    "patchCourseByExternalId": (
        ("PATCH", f"{COURSE_BY_EXTERNAL_ID}/X-empty", {"capacity": 2}),
        ("PATCH", f"{COURSE_BY_EXTERNAL_ID}/X-empty", {"term": "none"}),
    ),
    "deleteCourseByExternalId": (("DELETE", f"{COURSE_BY_EXTERNAL_ID}/X-empty", None), None),
    "createCourse": (
        ("POST", "/courses", {"name": "Optics", "level": "x"}),
        ("POST", "/courses", {"name": "empty", "level": "x"}),
    ),
    "updateCourse": (("PUT", "/courses/{open}", {"name": "Logic", "level": "x"}), None),
    "patchCourse": (
        ("PATCH", "/courses/{full}", {"capacity": 2}),
        ("PATCH", "/courses/{full}", {"capacity": 0}),
    ),
    "deleteCourse": (("DELETE", "/courses/{empty}", None), ("DELETE", "/courses/{full}", None)),
    "createTerm": (
        ("POST", "/terms", TERM),
        ("POST", "/terms", {**TERM, "code": "f"}),
    ),
    "updateTerm": (("PUT", "/terms/F", {"name": "Fall"}), None),
    "patchTerm": (("PATCH", "/terms/F", {"code": "G"}), ("PATCH", "/terms/F", {"code": "f1"})),
    "deleteTerm": (("DELETE", "/terms/F1", None), ("DELETE", "/terms/F", None)),
    "replaceTermWindows": (
        ("PUT", "/terms/F/windows", {"windows": [WINDOW]}),
        ("PUT", "/terms/F1/windows", {"windows": [WINDOW]}),
    ),
    "createCatalogEntry": (
        ("POST", "/catalog", ENTRY),
        ("POST", "/catalog", {**ENTRY, "code": "cs 1"}),
    ),
    "updateCatalogEntry": (("PUT", "/catalog/CS%201", {"title": "Trees"}), None),
    "patchCatalogEntry": (
        ("PATCH", "/catalog/CS%201", {"same_as": ["CS 2"]}),
        ("PATCH", "/catalog/CS%201", {"credits_max": 2}),
    ),
    "deleteCatalogEntry": (
        ("DELETE", "/catalog/CS%201", None),
        ("DELETE", "/catalog/CS%202", None),
    ),
    "enrollStudent": (
        ("POST", "/students/{other}/enroll", {"course_ids": ["open"], "reason": "Major"}),
        ("POST", "/students/{other}/enroll", {"course_ids": ["full"]}),
    ),
    "replaceStudentCourses": (
        ("PUT", "/students/{seated}/enroll", {"course_ids": ["open"]}),
        ("PUT", "/students/{other}/enroll", {"course_ids": ["full"]}),
    ),
    "enrollStudentInCourse": (
        ("POST", "/students/{other}/courses", {"course_id": "full", "waitlist": True}),
        ("POST", "/students/{other}/courses", {"course_id": "full"}),
    ),
    "changeStudentCourses": (
        ("POST", "/students/{seated}/changes", {"drop": ["full"]}),
        ("POST", "/students/{other}/changes", {"drop": ["full"]}),
    ),
    "deleteEnrollment": (
        ("DELETE", "/students/{seated}/courses/{full}", {"reason": "Clash"}),
        ("DELETE", "/students/{other}/courses/{full}", None),
    ),
    "enrollStudents": (
        ("POST", "/courses/{full}/students", {"student_ids": ["other"], "waitlist": True}),
        ("POST", "/courses/{full}/students", {"student_ids": ["other"]}),
    ),
    "dropStudents": (
        ("POST", "/courses/{full}/drop", {"student_ids": ["seated"]}),
        ("POST", "/courses/{full}/drop", {"student_ids": ["other"]}),
    ),
    "cancelCourse": (
        ("POST", "/courses/{full}/cancel", {"reason": "Too few"}),
        ("POST", "/courses/999999/cancel", None),
    ),
    "moveStudents": (
        ("POST", "/courses/{full}/move", {"to": "open", "all": True}),
        ("POST", "/courses/{open}/move", {"to": "full", "student_ids": ["seated"]}),
    ),
    "addStudentsToGroup": (
        ("POST", "/groups/program:cs/add", {"student_ids": ["other", "seated"]}),
        ("POST", "/groups/program:cs/add", {"student_ids": ["other", 999999]}),
    ),
    "removeStudentsFromGroup": (
        ("POST", "/groups/standing:new/remove", {"student_ids": ["gone", "other"]}),
        ("POST", "/groups/standing:new/remove", {"student_ids": [999999]}),
    ),
    "createCompletion": (
        ("POST", "/students/{other}/completions", {"test": "ALEKS", "kind": "test"}),
        ("POST", "/students/{other}/completions", {**RECORDS["completion"], "credits": 3}),
    ),
    "updateCompletion": (("PUT", COMPLETION, {"grade": "A"}), None),
    "patchCompletion": (("PATCH", COMPLETION, {"grade": "A"}), ("PATCH", COMPLETION, {"score": 1})),
    "deleteCompletion": (
        ("DELETE", COMPLETION, None),
        ("DELETE", "/students/{seated}/completions/{completion}", None),
    ),
    "createHold": (
        ("POST", "/students/{other}/holds", RECORDS["hold"]),
        ("POST", "/students/{other}/holds", {}),
    ),
    "patchHold": (("PATCH", HOLD, {"blocks": ["drop"]}), ("PATCH", HOLD, {"blocks": []})),
    "releaseHold": (
        ("POST", f"{HOLD}/release", {"reason": "Paid"}),
        ("POST", "/students/{seated}/holds/{hold}/release", None),
    ),
    "createOverride": (
        ("POST", "/students/{other}/overrides", RECORDS["override"]),
        ("POST", "/students/{other}/overrides", {**RECORDS["override"], "term": "F26"}),
    ),
    "revokeOverride": (
        ("POST", f"{OVERRIDE}/revoke", {"reason": "A mistake"}),
        ("POST", "/students/{seated}/overrides/{override}/revoke", None),
    ),
    "reinstateStudents": (
        ("POST", "/courses/{open}/reinstate", {"student_ids": ["gone"]}),
        ("POST", "/courses/{full}/reinstate", {"student_ids": ["other"]}),
    ),
}
REQUESTS = [
    pytest.param(request, id=f"{name}-{'refused' if i else 'done'}")
    for name, pair in WRITES.items()
    for i, request in enumerate(pair)
    if request
]


def send(client, request, world, query="", **headers):
    method, path, body = request

    def ids(value):
        if isinstance(value, list):
            return [world.get(one, one) for one in value]
        return world.get(value, value)

    body = body and {
        k: ids(v) if k.endswith(("_id", "_ids", "drop", "to")) else v for k, v in body.items()
    }
    return client.open(path.format(**world) + query, method=method, json=body, headers=headers)


def shown(response):
    """The response without what differs between any two requests."""
    body = response.get_json(silent=True) or {}
    changing = {"id", "instance", "request_id", "created_at", "updated_at", "enrolled_at"}
    changing |= {"released_at", "revoked_at"}
    return (
        response.status_code,
        {name: value for name, value in body.items() if name not in changing},
        set(response.headers.keys()) - {"Dry-Run", "Plan", "Location", "ETag"},
    )


def test_every_write_of_the_api_is_rehearsed_here(app):
    writes = {
        rule.endpoint.rpartition(".")[2]
        for rule in app.url_map.iter_rules()
        if rule.methods & {"POST", "PUT", "PATCH", "DELETE"}
        and app.view_functions[rule.endpoint].endpoint.writes
    }
    assert writes == WRITES.keys()


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_rehearsal_answers_as_the_write_and_changes_nothing(client, world, rows, request_):
    before = rows()
    logs.configure("INFO", log := io.StringIO())
    rehearsed = send(client, request_, world, "?dry_run=true")
    logs.configure("INFO", io.StringIO())
    assert rows() == before
    events = {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    assert events - {"slow request"} == {"request"}  # it may be slow where much else runs
    assert rehearsed.headers["Dry-Run"] == "true"
    assert not {"Location", "ETag"} & set(rehearsed.headers.keys())
    done = send(client, request_, world)
    assert "Dry-Run" not in done.headers
    assert shown(rehearsed) == shown(done)
    assert (rows() != before) == (done.status_code < 300)


def test_a_rehearsal_neither_reads_nor_claims_an_idempotency_key(client, world, rows):
    request = WRITES["enrollStudent"][0]
    headers = {"Idempotency-Key": "k"}
    before = rows()
    send(client, request, world, "?dry_run=true", **headers)
    assert rows() == before
    first = send(client, request, world, **headers)
    rehearsed = send(client, request, world, "?dry_run=true", **headers)
    assert "Idempotent-Replayed" not in rehearsed.headers
    assert (first.status_code, rehearsed.status_code) == (201, 200)  # now the seat is there


def test_a_rehearsal_checks_preconditions(client, world):
    request = ("PATCH", "/students/{other}", {"name": "Ada"})
    stale = send(client, request, world, "?dry_run=true", **{"If-Match": '"0"'})
    assert (stale.status_code, stale.headers["Dry-Run"]) == (412, "true")


@pytest.mark.parametrize("value", ["1", "", "TRUE", "true&dry_run=true"])
def test_a_misspelt_rehearsal_is_no_write(client, rows, value):
    before = rows()
    assert client.post(f"/students?dry_run={value}", json={"name": "Ada"}).status_code == 422
    assert rows() == before


def test_a_read_has_no_rehearsal(client):
    assert client.get("/students?dry_run=true").status_code == 422
