"""Terms over HTTP."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent
from tests.web.problems import faults, problem

FALL = {
    "code": "2026-FALL",
    "name": "Fall 2026",
    "starts_on": "2026-08-24",
    "ends_on": "2026-12-18",
    "time_zone": "America/Chicago",
}
NOTHING = dict.fromkeys(
    ("parent", "add_until", "drop_until", "withdraw_until")
    + ("min_credits", "max_credits", "max_courses")
)


@pytest.fixture
def events(app):
    """The events of the history, oldest first: types and data."""

    def read():
        with app.app_context(), transaction(writing=False) as session:
            columns = (EnrollmentEvent.type, EnrollmentEvent.data)
            rows = session.execute(sa.select(*columns).order_by(EnrollmentEvent.id))
            return [(row.type, row.data) for row in rows]

    return read


def test_a_term_is_created_and_read(client):
    answer = client.post("/terms", json=FALL)
    term = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/v1/terms/2026-FALL"
    assert answer.headers["ETag"] == f'"{term["id"]}-1"'
    set_by_service = ("id", "created_at", "updated_at", "version")
    assert term == {**FALL, **NOTHING, **{name: term[name] for name in set_by_service}}
    read = client.get(answer.headers["Location"])
    assert (read.json, read.headers["ETag"]) == (term, answer.headers["ETag"])
    again = client.get("/terms/2026-FALL", headers={"If-None-Match": read.headers["ETag"]})
    assert again.status_code == 304


def test_a_term_has_deadlines_and_limits(client):
    limits = {"min_credits": 0.5, "max_credits": 18.0, "max_courses": 7}
    deadlines = {
        "add_until": "2026-09-04T17:00:00",  # -05:00 in Chicago
        "drop_until": "2026-09-18T17:00:00.25+02:00",
        "withdraw_until": "2026-11-20T17:00",  # -06:00
    }
    term = client.post("/terms", json={**FALL, **limits, **deadlines}).json
    assert {name: term[name] for name in (*limits, *deadlines)} == {
        **limits,
        "add_until": "2026-09-04T22:00:00Z",
        "drop_until": "2026-09-18T15:00:00.250000Z",
        "withdraw_until": "2026-11-20T23:00:00Z",
    }
    assert client.get("/terms/2026-FALL").json == term
    assert client.get("/terms").json == [term]


def test_a_part_has_the_dates_and_deadlines_of_its_own(client, make):
    make.term(code="F", time_zone="America/Chicago")
    part = make.term(code="F1", parent="f", starts_on="2026-01-01", add_until="2026-09-04T17:00:00")
    assert (part["parent"], part["time_zone"]) == ("F", None)
    assert part["starts_on"] == "2026-01-01"
    assert part["add_until"] == "2026-09-04T22:00:00Z"
    assert client.get("/terms/F1").json == part


def test_the_tag_of_a_part_changes_with_the_code_that_it_shows(client, make):
    make.term(code="F")
    part = make.term(code="F1", parent="F")
    read = client.get("/terms/F1")
    tag = {"If-None-Match": read.headers["ETag"]}
    assert client.get("/terms/F1", headers=tag).status_code == 304
    client.patch("/terms/F", json={"code": "G"})
    assert client.get("/terms/F1", headers=tag).json == {**part, "parent": "G"}
    current = {"If-Match": read.headers["ETag"]}  # nobody has edited the part
    changed = client.patch("/terms/F1", json={"name": "New"}, headers=current)
    assert changed.status_code == 200
    assert client.get("/terms/F1").headers["ETag"] == changed.headers["ETag"]


@pytest.mark.parametrize(
    ("code", "address"),
    [
        ("CS & more", "cs%20%26%20MORE"),
        ("Straße", "STRASSE"),
        ("e\u0301t\u00e9", "%C3%89T%C3%89"),
        ("2026", "2026"),
        ("...", "..."),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_an_address_names_a_term_by_its_code_ignoring_case(client, make, code, address):
    term = make.term(code=f" {code} ")
    assert client.get(f"/terms/{address}").json == term
    assert client.patch(f"/terms/{address}", json={"name": "New"}).json["name"] == "New"
    assert client.get(f"/terms/{address}/windows").json == {"windows": []}
    assert client.delete(f"/terms/{address}").status_code == 204


def test_location_is_the_address_of_the_term(client):
    answer = client.post("/terms", json={**FALL, "code": "Früh & spät?"})
    assert client.get(answer.headers["Location"]).json == answer.json


@pytest.mark.parametrize("code", ["a/b", "/", ".", " .. ", "", " ", "x" * 33, "a\nb", None, 7])
def test_a_code_that_no_address_can_name_is_refused(client, code):
    assert set(faults(client.post("/terms", json={**FALL, "code": code}))) == {"/code"}


@pytest.mark.parametrize("code", ["nothing", "%2e%2e", "%FF", "a%00b", "x" * 2000, "%20", "a%2Fb"])
def test_an_unknown_code_gets_404(client, code):
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("GET", "/windows", None),
        ("PUT", "/windows", {"windows": []}),
    ):
        answer = client.open(f"/terms/{code}{path}", method=method, json=body)
        assert problem(answer) == (404, "term-not-found"), (method, path)


def test_codes_are_unique_ignoring_case(client, make):
    first, second = make.term(code="Fall"), make.term(code="Spring")
    for answer in (
        client.post("/terms", json={**FALL, "code": "FALL"}),
        client.patch("/terms/spring", json={"code": " fall "}),
    ):
        assert problem(answer) == (409, "term-code-taken")
        (fault,) = answer.json["errors"]
        assert (fault["pointer"], fault["code"], fault["id"]) == (
            *("/code", "term-code-taken"),
            first["id"],
        )
    assert client.get("/terms/spring").json == second
    assert client.patch("/terms/spring", json={"code": "SPRING"}).json["code"] == "SPRING"


def test_every_fault_of_the_form_is_listed_at_once(client):
    body = {
        "code": "a/b",
        "parent": 7,
        "starts_on": "2026-02-30",
        "ends_on": "24.12.2026",
        "time_zone": "europe/berlin",
        "add_until": "tomorrow",
        "drop_until": "2026-13-01T00:00:00Z",
        "withdraw_until": 5,
        "min_credits": 100,
        "max_credits": "18",
        "max_courses": -1,
        "term": "x",
    }
    answer = client.post("/terms", json=body)
    assert set(faults(answer)) == {f"/{name}" for name in (*body, "name")}


def test_every_fault_of_the_values_is_listed_at_once(client):
    body = {
        "ends_on": "2026-08-23",
        "add_until": "2026-09-05T00:00:00",
        "drop_until": "2026-09-04T00:00:00",
        "withdraw_until": "2026-11-01T01:30:00",  # twice in Chicago
        "min_credits": 18,
        "max_credits": 17.99,
    }
    found = faults(client.post("/terms", json={**FALL, **body}))
    assert set(found) == {"/ends_on", "/drop_until", "/withdraw_until", "/max_credits"}
    assert found["/drop_until"] == "Must not be before add_until."


@pytest.mark.parametrize(
    ("deadlines", "fault"),
    [
        ({"add_until": 3, "withdraw_until": 2}, "/withdraw_until"),
        ({"drop_until": 3, "withdraw_until": 2}, "/withdraw_until"),
        ({"add_until": 3, "drop_until": 2}, "/drop_until"),
        ({"add_until": 3, "drop_until": 3, "withdraw_until": 3}, None),
        ({"add_until": 1, "withdraw_until": 2}, None),
    ],
)
def test_deadlines_are_in_order_and_may_be_left_out(client, deadlines, fault):
    days = {name: f"2026-09-{day:02}T00:00:00Z" for name, day in deadlines.items()}
    answer = client.post("/terms", json={**FALL, **days})
    if fault is None:
        assert answer.status_code == 201
    else:
        assert set(faults(answer)) == {fault}


@pytest.mark.parametrize(
    ("local", "says", "fix"),
    [
        ("2026-03-08T02:30:00", "does not exist in America/Chicago", "2026-03-08T02:30:00-06:00"),
        ("2026-11-01T01:30:00", "exists twice in America/Chicago", "2026-11-01T01:30:00-05:00"),
    ],
)
def test_a_local_time_must_name_one_moment(client, make, local, says, fix):
    make.term(code="F", time_zone="America/Chicago")
    for body in ({**FALL, "add_until": local}, {**FALL, "add_until": local, "parent": "F"}):
        if "parent" in body:
            body["time_zone"] = None
        detail = faults(client.post("/terms", json=body))["/add_until"]
        assert says in detail
        assert "Send the time with an offset" in detail
        assert fix in detail
    assert client.post("/terms", json={**FALL, "add_until": fix}).status_code == 201


def test_local_times_next_to_the_change_of_the_clocks_are_moments(client):
    for local, moment in {
        "2026-03-08T01:59:59": "2026-03-08T07:59:59Z",
        "2026-03-08T03:00:00": "2026-03-08T08:00:00Z",
        "2026-11-01T00:59:59": "2026-11-01T05:59:59Z",
        "2026-11-01T02:00:00": "2026-11-01T08:00:00Z",
    }.items():
        answer = client.post("/terms", json={**FALL, "code": local, "add_until": local})
        assert answer.json["add_until"] == moment


@pytest.mark.parametrize(
    "value",
    [
        *("2026-09-01", "2026-09-01T24:00:00Z", "2026-09-01 08:00:00Z", "20260901T080000Z"),
        *("1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2026-09-01T08:00:00.1234567Z"),
        *("2026-09-01T08:00:00+24:00", "2026-09-01T08:00:00\n", "2026-W36-2T08:00:00Z", "", True),
    ],
)
def test_other_forms_of_times_are_refused(client, value):
    assert set(faults(client.post("/terms", json={**FALL, "add_until": value}))) == {"/add_until"}


def test_a_whole_term_needs_a_time_zone_and_a_part_has_none(client, make):
    assert set(faults(client.post("/terms", json={**FALL, "time_zone": None}))) == {"/time_zone"}
    make.term(code="F")
    limits = {"min_credits": 0, "max_credits": 1, "max_courses": 0}
    part = {**FALL, **limits, "parent": "F"}
    assert set(faults(client.post("/terms", json=part))) == {
        *("/time_zone", "/min_credits", "/max_credits", "/max_courses")
    }


def test_a_parent_that_does_not_exist_is_named(client):
    answer = client.post("/terms", json={**FALL, "time_zone": None, "parent": "Nowhere"})
    assert problem(answer) == (404, "term-not-found")
    assert answer.json["missing"] == ["Nowhere"]
    client.post("/terms", json=FALL)
    change = {"parent": "Nowhere", "time_zone": None}
    assert client.patch("/terms/2026-fall", json=change).json["missing"] == ["Nowhere"]


def test_parts_have_one_level(client, make):
    make.term(code="F")
    make.term(code="F1", parent="F")
    make.term(code="S")
    part = {**FALL, "time_zone": None}
    assert (
        "F1 is a part of F"
        in faults(client.post("/terms", json={**part, "parent": "F1"}))["/parent"]
    )
    becomes = {"time_zone": None}
    assert (
        "has parts" in faults(client.patch("/terms/F", json={**becomes, "parent": "S"}))["/parent"]
    )
    assert "itself" in faults(client.patch("/terms/S", json={**becomes, "parent": "s"}))["/parent"]
    windows = [{"opens_at": "2026-04-01T08:00:00Z", "closes_at": "2026-04-02T08:00:00Z"}]
    client.put("/terms/S/windows", json={"windows": windows})
    change = {**becomes, "parent": "F"}
    assert "has windows" in faults(client.patch("/terms/S", json=change))["/parent"]
    client.put("/terms/S/windows", json={"windows": []})
    assert client.patch("/terms/S", json=change).json["parent"] == "F"
    assert (
        client.patch("/terms/F1", json={"parent": None, "time_zone": "UTC"}).json["parent"] is None
    )


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_keeps_the_fields_that_it_does_not_name(client, make, method):
    term = make.term(code="F", add_until="2026-09-04T17:00:00", max_credits=18.5)
    answer = getattr(client, method)("/terms/f", json={"name": "New", "max_credits": None})
    changed = {"name": "New", "max_credits": None, "version": 2}
    assert answer.json == {**term, **changed, "updated_at": answer.json["updated_at"]}
    assert answer.headers["ETag"] == f'"{term["id"]}-2"'
    stale = getattr(client, method)(
        "/terms/f", json={"name": "Old"}, headers={"If-Match": f'"{term["id"]}-1"'}
    )
    assert problem(stale) == (412, "stale")


def test_the_whole_response_can_be_sent_back(client, make):
    terms = [
        make.term(code="F", max_credits=18.5, add_until="2026-09-04T17:00:00"),
        make.term(code="F1", parent="F", add_until="2026-09-04T17:00:00"),
    ]
    for term in terms:
        assert client.put(f"/terms/{term['code']}", json=term).json == term
    assert set(faults(client.patch("/terms/F", json={"id": terms[1]["id"]}))) == {"/id"}


def test_a_change_is_judged_with_the_stored_fields(client, make):
    make.term(code="F", add_until="2026-09-04T17:00:00", min_credits=6)
    change = {"ends_on": "2026-01-01", "drop_until": "2026-09-04T16:59:59", "max_credits": 5.99}
    assert set(faults(client.patch("/terms/F", json=change))) == {f"/{name}" for name in change}
    assert set(faults(client.patch("/terms/F", json={"time_zone": None}))) == {"/time_zone"}


def test_a_new_time_zone_alone_keeps_the_moments(client, make):
    term = make.term(code="F", add_until="2026-09-04T17:00:00")
    changed = client.patch("/terms/F", json={"time_zone": "Asia/Tokyo"}).json
    assert changed["add_until"] == term["add_until"] == "2026-09-04T15:00:00Z"
    both = {"time_zone": "UTC", "add_until": "2026-09-04T17:00:00"}
    assert client.patch("/terms/F", json=both).json["add_until"] == "2026-09-04T17:00:00Z"


def test_terms_are_listed_in_pages_sorted_and_by_parent(client, make):
    for code, starts_on in (("b", "2026-09-01"), ("A", "2027-01-01"), ("c", "2026-01-01")):
        make.term(code=code, starts_on=starts_on, ends_on="2027-12-31")
    for code in ("b2", "b1"):
        make.term(code=code, parent="B", starts_on="2026-09-01")

    def codes(query):
        found, address = [], f"/terms?limit=2&{query}"
        while address:
            answer = client.get(address)
            found += [term["code"] for term in answer.json]
            address = answer.headers.get("Link", "").partition(">")[0].lstrip("<")
        return found

    assert codes("") == ["b", "A", "c", "b2", "b1"]
    assert codes("sort=-id") == ["b1", "b2", "c", "A", "b"]
    assert codes("sort=code") == ["A", "b", "b1", "b2", "c"]
    assert codes("sort=starts_on") == ["c", "b", "b2", "b1", "A"]
    assert codes("sort=-starts_on") == ["A", "b1", "b2", "b", "c"]
    assert codes("parent=B&sort=code") == ["b1", "b2"]
    assert codes("parent=A") == codes("parent=none") == []
    assert client.get("/terms?sort=name").status_code == 422
    link = client.get("/terms?limit=1&sort=starts_on").headers["Link"].partition(">")[0].lstrip("<")
    assert client.get(link.replace("sort=starts_on", "sort=code")).status_code == 422


def test_a_term_with_parts_is_not_deleted(client, make):
    make.term(code="F")
    make.term(code="F1", parent="F")
    assert problem(client.delete("/terms/F")) == (409, "term-has-parts")
    assert client.delete("/terms/F1").status_code == 204
    assert client.delete("/terms/F", headers={"If-Match": '"0"'}).status_code == 412
    assert client.delete("/terms/F").status_code == 204
    assert client.get("/terms").json == []


def test_the_history_and_the_log_have_each_change(client, make, events, lines):
    term = make.term(code="F")
    client.patch("/terms/F", json={"name": "Term"})  # no change
    client.patch("/terms/F", json={"code": "G"})
    windows = [{"opens_at": "2026-04-01T08:00:00Z", "closes_at": "2026-04-02T08:00:00Z"}]
    client.put("/terms/G/windows", json={"windows": windows})
    client.delete("/terms/G")
    assert events() == [
        ("term.created", {"code": "F"}),
        ("term.changed", {"code": "G"}),
        ("term.changed", {"code": "G", "windows": 1}),
        ("term.deleted", {"code": "G"}),
    ]
    logged = [line for line in lines() if line["event"].startswith("term ")]
    assert [line["event"].partition(" ")[2] for line in logged] == [
        *("created", "changed", "changed", "deleted")
    ]
    assert {line["term_id"] for line in logged} == {term["id"]}


def test_a_repeated_request_creates_one_term(client):
    headers = {"Idempotency-Key": "k"}
    first, second = (client.post("/terms", json=FALL, headers=headers) for _ in range(2))
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json == second.json
    assert len(client.get("/terms").json) == 1
