"""Every list is JSON or CSV, as the client prefers, and is counted if the client asks for that."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.conftest import bearer
from tests.db.test_keyset import next_of
from tests.web.problems import problem

CSV = {"Accept": "text/csv"}
COUNT = {"Prefer": "count=exact"}


def rows_of(answer):
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(answer.data.decode(), newline=""), strict=True))


def as_cells(item, columns):
    """An item of a JSON list as CSV shows it."""
    cells = {name: item.get(name) for name in columns}
    for name, value in cells.items():
        if value is None:
            cells[name] = ""
        elif not isinstance(value, str):
            cells[name] = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return cells


@pytest.fixture
def lists(client, make, term):
    """The address of every list, each with at least two items. Some of them cannot be counted."""
    student, other = (make.student(groups=["a", "b"], email=f"{n}@x.edu") for n in "ab")
    student, other = student["id"], other["id"]
    entry = {"title": "T", "credits_min": 1.5, "excludes": ["X 1"]}
    for code in ("C 1", "C 2"):
        assert client.post("/catalog", json={"code": code, **entry}).status_code == 201
    meeting = {"days": ["mon"], "starts": "09:00", "ends": "10:00"}
    course = make.course(term=term["code"], catalog_code="C 1", meetings=[meeting])["id"]
    plain = make.course(capacity=1, waitlist_capacity=1)["id"]
    for one in (student, other):
        body = {"course_ids": [plain], "waitlist": True, "reason": 'so, "yes"'}
        assert client.post(f"/students/{one}/enroll", json=body).status_code == 201
        body = {"course_ids": [course], "reason": "Agreed."}
        answer = client.post(f"/students/{one}/enroll?rules=skip", json=body)
        assert answer.status_code == 201, answer.text
    make.term(code="2027")
    own = f"/students/{student}"
    for i in range(2):
        for path, body in (
            ("completions", {"test": f"T {i}", "kind": "test", "score": -1 * i + 1.5}),
            ("holds", {"code": f"hold-{i}", "detail": "Pay the fee, please.", "blocks": ["add"]}),
            ("overrides", {"rule": "time-conflict", "course_id": course, "reason": "Asked."}),
        ):
            answer = client.post(f"{own}/{path}", json=body)
            assert answer.status_code == 201, answer.text
    counted = [
        *("/students", "/courses", "/terms", "/catalog", f"{own}/courses", f"{own}/history"),
        *(f"/courses/{plain}/students", f"/courses/{course}/students", f"/courses/{plain}/history"),
        *(f"{own}/completions", f"{own}/holds", f"{own}/overrides"),
    ]
    return counted, [f"{own}/eligibility"]


def test_every_list_has_the_same_rows_as_csv(client, lists):
    for path in [*lists[0], *lists[1]]:
        items, answer = client.get(path).json, client.get(path, headers=CSV)
        rows = rows_of(answer)
        assert len(rows) >= 2
        assert rows == [as_cells(item, rows[0]) for item in items], path
        assert {name for item in items for name in item} <= set(rows[0])
        assert answer.data.endswith(b"\r\n")
        assert answer.headers["Vary"] == "Accept, Prefer"
        head = client.head(path, headers=CSV)
        assert (head.data, head.headers["Content-Type"]) == (b"", answer.headers["Content-Type"])


def test_the_lists_of_the_openapi_document_are_those(client, lists):
    found = set()
    for path, operations in client.get("/openapi.json").json["paths"].items():
        for method, operation in operations.items():
            answer = operation["responses"].get("200", {})
            if "text/csv" in answer.get("description", ""):
                assert list(answer["content"]) == ["application/json"]
                assert "406" in operation["responses"]
                counts = any(p.get("name") == "Prefer" for p in operation["parameters"])
                assert ("Total-Count" in answer["headers"]) is counts
                found.add((method, path.rpartition("/")[2], counts))
    wanted = {("get", path.rpartition("/")[2], True) for path in lists[0]}
    assert found == wanted | {("get", "eligibility", False), ("post", "eligibility", False)}


def test_csv_is_paged_by_link(client, make):
    for _ in range(5):
        make.student()
    seen, address, pages = [], "/students?limit=2&sort=-id", 0
    while address:
        answer = client.get(address, headers=CSV)
        seen += [row["id"] for row in rows_of(answer)]
        address, pages = next_of(answer), pages + 1
    assert seen == [str(row["id"]) for row in client.get("/students?sort=-id").json]
    assert pages == 3


def test_an_empty_page_has_a_header_line(client):
    answer = client.get("/students?id=999999", headers=CSV)
    assert answer.data == b"id,name,email,external_id,groups,created_at,updated_at,version\r\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *(("=1+1", "'=1+1"), ("+4", "'+4"), ("-4", "'-4"), ("@A1", "'@A1"), ("'=A1", "''=A1")),
        *(("''-x", "'''-x"), ("O'Hara", "O'Hara"), ("'Ada", "'Ada"), ("a=b", "a=b")),
        *(('Ada "A", L', 'Ada "A", L'), ("Zoë 名", "Zoë 名")),
    ],
)
def test_a_text_is_never_a_formula(client, make, name, shown):
    student = make.student(name=name, external_id=name)
    (row,) = rows_of(client.get(f"/students?id={student['id']}", headers=CSV))
    assert (row["name"], row["external_id"]) == (shown, shown)
    assert client.get(f"/students/{student['id']}").json["name"] == name


def test_numbers_and_nested_values_are_json(client, lists):
    entries = rows_of(client.get("/catalog", headers=CSV))
    assert (entries[0]["credits_min"], entries[0]["excludes"]) == ("1.5", '["X 1"]')
    completions = next(path for path in lists[0] if path.endswith("completions"))
    scores = [row["score"] for row in rows_of(client.get(completions, headers=CSV))]
    assert scores == ["1.5", "0.5"]
    (first, _) = rows_of(client.get("/students", headers=CSV))
    assert first["groups"] == '["a","b"]'


JSON_HEADERS = [
    *(None, "", "*/*", "application/json", "application/*", "application/json, text/csv"),
    *("text/csv;q=0.5, application/json", "text/csv;q=0, */*", "text/html, */*;q=0.1"),
    *("text/csv;q=0.4, */*;q=0.5, application/json;q=0.9", "APPLICATION/JSON; charset=utf-8"),
    "text/*;q=0.3, application/json;q=0.5",
]
CSV_HEADERS = [
    *("text/csv", "text/*", "TEXT/CSV; charset=utf-8", "text/csv;header=present"),
    *("text/csv, */*", "text/csv, application/json;q=0.9", "application/json;q=0, */*"),
    *("text/csv, */*;q=0.1", "text/html, text/csv;q=0.2", "*/*;q=0.5, text/*;q=0.6"),
]
OTHER_HEADERS = [
    *("text/html", "image/*", "application/json;q=0", "application/json;q=0, text/csv;q=0"),
    *("*/*;q=0", "application/xml, text/csv;q=0.000"),
]


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        *((accept, 200, "application/json") for accept in JSON_HEADERS),
        *((accept, 200, "text/csv") for accept in CSV_HEADERS),
        *((accept, 406, "application/problem+json") for accept in OTHER_HEADERS),
    ],
)
def test_the_client_chooses_the_type_of_a_list(client, accept, status, content_type):
    headers = {} if accept is None else {"Accept": accept}
    answer = client.get("/courses", headers=headers)
    assert (answer.status_code, answer.mimetype) == (status, content_type)
    if status == 406:
        assert problem(answer) == (406, "not-acceptable")


def test_one_resource_is_json_whatever_the_client_accepts(client, make):
    path = f"/courses/{make.course()['id']}"
    assert client.get(path, headers=CSV).mimetype == "application/json"
    answer = client.get("/courses?limit=0", headers=CSV)
    assert (problem(answer), answer.mimetype) == ((422, "invalid"), "application/problem+json")


def test_hidden_fields_are_hidden_in_csv(guarded, new_key, make, issuer):
    client, student = guarded.test_client(), make.student(external_id="100")["id"]
    bursar = bearer(new_key("holds:write", "overrides:write", name="bursar"))
    me = bearer(issuer.token(number="100"))
    path = f"/students/{student}"
    body = {"code": "fee", "detail": "Pay.", "blocks": ["add"]}
    assert client.post(f"{path}/holds", json=body, headers=bursar).status_code == 201
    body = {"rule": "consent-required", "course_id": make.course()["id"], "reason": "Private."}
    client.post(f"{path}/overrides", json=body, headers=bursar)
    for name, column in (("holds", "created_by"), ("overrides", "granted_by")):
        for row in rows_of(client.get(f"{path}/{name}", headers=me | CSV)):
            assert row[column] == ""
            assert "Private." not in row.values()
        (row,) = rows_of(client.get(f"{path}/{name}", headers=bursar | CSV))
        assert row[column] == "key:bursar"


def test_every_list_is_counted_on_request_only(client, lists, statements):
    counted, uncounted = lists
    for path in counted:
        with statements() as sent:
            plain = client.get(f"{path}?limit=1")
        assert "count(*) AS" not in "".join(sent).replace("count(*) AS position", "")
        assert "Total-Count" not in plain.headers
        with statements() as sent_again:
            answer = client.get(f"{path}?limit=1", headers=COUNT)
        assert answer.headers["Total-Count"] == str(len(client.get(path).json)), path
        assert answer.headers["Preference-Applied"] == "count=exact"
        assert answer.headers["Vary"] == plain.headers["Vary"] == "Accept, Prefer"
        assert (len(sent_again), answer.json) == (len(sent) + 1, plain.json)
        second = client.get(next_of(answer), headers=COUNT | CSV)
        assert second.headers["Total-Count"] == answer.headers["Total-Count"]
    for path in uncounted:
        answer = client.get(path, headers=COUNT)
        assert answer.status_code == 200
        assert not {"Total-Count", "Preference-Applied"} & set(answer.headers.keys())


def test_the_count_respects_the_filters(client, make):
    ids = [make.student(groups=["g"] * (i % 2), name=f"N{i}")["id"] for i in range(5)]
    for query, total in (
        ("group=g", "2"),
        ("group=g&sort=name&limit=1", "2"),
        ("q=n", "5"),
        (f"id={ids[0]}&id={ids[1]}&group=g", "1"),
        ("external_id=none", "0"),
    ):
        answer = client.get(f"/students?{query}", headers=COUNT)
        assert answer.headers["Total-Count"] == total, query
