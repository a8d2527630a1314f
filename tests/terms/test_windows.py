"""The windows of terms over HTTP."""

from __future__ import annotations

import pytest

from tests.web.problems import faults, problem

DAY = {"opens_at": "2026-04-06T00:00:00Z", "closes_at": "2026-04-07T00:00:00Z"}


def put(client, code, windows, **headers):
    return client.put(f"/terms/{code}/windows", json={"windows": windows}, headers=headers)


def test_a_new_term_has_no_windows(client, make):
    term = make.term(code="F")
    answer = client.get("/terms/F/windows")
    assert (answer.status_code, answer.json) == (200, {"windows": []})
    assert answer.headers["ETag"] == f'"{term["id"]}-1"'


def test_a_put_replaces_the_set(client, make):
    make.term(code="F", time_zone="America/Chicago")
    later = {"group": None, "opens_at": "2026-04-08T08:00:00", "closes_at": "2026-04-10T08:00"}
    senior = {"group": "standing:senior", **DAY}
    answer = put(client, "f", [later, senior, DAY])
    assert answer.status_code == 200
    assert answer.json == {
        "windows": [
            {"group": None, **DAY},
            senior,
            {
                "group": None,
                "opens_at": "2026-04-08T13:00:00Z",
                "closes_at": "2026-04-10T13:00:00Z",
            },
        ]
    }
    read = client.get("/terms/F/windows")
    assert (read.json, read.headers["ETag"]) == (answer.json, answer.headers["ETag"])
    assert put(client, "F", [senior]).json == {"windows": [senior]}
    assert client.get("/terms/F/windows").json == {"windows": [senior]}
    assert put(client, "F", []).json == {"windows": []}
    assert client.get("/terms/F/windows").json == {"windows": []}


def test_the_version_of_the_term_rises_with_the_windows(client, make):
    term = make.term(code="F")
    first = put(client, "F", [DAY], **{"If-Match": f'"{term["id"]}-1"'})
    assert first.headers["ETag"] == f'"{term["id"]}-2"'
    changed = client.get("/terms/F").json
    assert changed["version"] == 2
    assert changed["updated_at"] > term["updated_at"]
    assert problem(put(client, "F", [], **{"If-Match": f'"{term["id"]}-1"'})) == (412, "stale")
    stale = client.patch("/terms/F", json={"name": "x"}, headers={"If-Match": f'"{term["id"]}-1"'})
    assert problem(stale) == (412, "stale")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert client.get("/terms/F/windows", headers=tag).status_code == 304
    client.patch("/terms/F", json={"name": "x"})
    assert client.get("/terms/F/windows", headers=tag).status_code == 200


def test_the_same_set_again_is_no_change(client, make):
    make.term(code="F")
    other = {"group": "a", **DAY}
    first = put(client, "F", [DAY, other])
    again = put(client, "F", [other, {"group": None, **DAY}])
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])


def test_a_window_that_touches_another_is_a_window_of_its_own(client, make):
    make.term(code="F")
    next_day = {"opens_at": DAY["closes_at"], "closes_at": "2026-04-08T00:00:00Z"}
    assert len(put(client, "F", [DAY, next_day]).json["windows"]) == 2


def test_every_fault_of_the_windows_is_listed_at_once(client, make):
    make.term(code="F", time_zone="America/Chicago")
    found = faults(
        put(
            client,
            "F",
            [
                DAY,
                {"opens_at": DAY["opens_at"], "closes_at": DAY["opens_at"]},
                {"opens_at": "2026-04-05T19:00:00", "closes_at": "2026-04-06T19:00:00"},  # DAY
                {"opens_at": "2026-03-08T02:00:00", "closes_at": "2026-11-01T01:00:00"},
                {"group": "a", **DAY},
            ],
        )
    )
    assert found.keys() == {
        *("/windows/1/closes_at", "/windows/2", "/windows/3/opens_at", "/windows/3/closes_at")
    }
    assert found["/windows/2"] == "The list already has this window."
    assert "does not exist" in found["/windows/3/opens_at"]
    assert "exists twice" in found["/windows/3/closes_at"]
    assert client.get("/terms/F/windows").json == {"windows": []}


@pytest.mark.parametrize(
    ("windows", "pointers"),
    [
        (None, {"/windows"}),
        ({}, {"/windows"}),
        ([DAY] * 201, {"/windows"}),
        ([{}], {"/windows/0/opens_at", "/windows/0/closes_at"}),
        ([7, {**DAY, "group": "Seniors"}], {"/windows/0", "/windows/1/group"}),
        ([{**DAY, "opens_at": None, "id": 1}], {"/windows/0/opens_at", "/windows/0/id"}),
    ],
)
def test_a_malformed_set_is_refused(client, make, windows, pointers):
    make.term(code="F")
    assert set(faults(put(client, "F", windows))) == pointers


def test_a_part_has_the_windows_of_its_whole_term(client, make):
    make.term(code="F")
    make.term(code="F1", parent="F")
    refused = put(client, "F1", [DAY])
    assert problem(refused) == (409, "term-is-part")
    assert "F1 is a part of F" in refused.json["detail"]
    put(client, "F", [DAY])
    whole, part = (client.get(f"/terms/{code}/windows") for code in ("F", "F1"))
    assert part.json == whole.json == {"windows": [{"group": None, **DAY}]}
    assert part.headers["ETag"] == whole.headers["ETag"]


def test_a_term_is_deleted_with_its_windows(client, make):
    make.term(code="F")
    put(client, "F", [DAY])
    assert client.delete("/terms/F").status_code == 204
    make.term(code="F")
    assert client.get("/terms/F/windows").json == {"windows": []}


def test_the_number_of_statements_does_not_depend_on_the_number_of_windows(
    client, make, statements
):
    make.term(code="F")
    counts = []
    for size in (1, 200, 100):
        windows = [{"group": f"g{i}", **DAY} for i in range(size)]
        with statements() as sent:
            assert put(client, "F", windows).status_code == 200
        with statements() as read:
            assert len(client.get("/terms/F/windows").json["windows"]) == size
        counts.append((len(sent), len(read)))
    assert len(set(counts)) == 1
    assert counts[0][0] <= 8
    assert counts[0][1] <= 3
