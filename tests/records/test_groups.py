"""Groups of students: the field `groups`, the filter `group=`, and the changes of many students."""

from __future__ import annotations

import pytest

from tests.conftest import bearer
from tests.web.problems import problem

GROUPS = ["program:cs", "standing:senior"]


def members(client, group, query=""):
    return [student["id"] for student in client.get(f"/students?group={group}{query}").json]


def test_a_student_shows_their_groups_sorted_and_once(client, make):
    student = make.student(groups=["standing:senior", "program:cs", "standing:senior"])
    assert student["groups"] == GROUPS
    assert client.get(f"/students/{student['id']}").json["groups"] == GROUPS
    assert client.get("/students").json[0]["groups"] == GROUPS
    assert make.student()["groups"] == []


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_replaces_the_groups_and_is_an_edit(client, make, method, events):
    student = make.student(groups=GROUPS)
    path = f"/students/{student['id']}"
    changed = getattr(client, method)(path, json={"groups": ["program:ee", "standing:senior"]})
    assert (changed.json["groups"], changed.json["version"]) == (
        ["program:ee", "standing:senior"],
        2,
    )
    assert client.get(path).json == changed.json
    assert members(client, "program:cs") == []
    assert members(client, "program:ee") == members(client, "standing:senior") == [student["id"]]
    assert len(events("student.changed")) == 1
    same = getattr(client, method)(path, json={"groups": changed.json["groups"][::-1]})
    assert same.json["version"] == 2
    assert getattr(client, method)(path, json={"groups": []}).json["groups"] == []
    assert members(client, "standing:senior") == []


def test_other_changes_keep_the_groups(client, make):
    student = make.student(groups=GROUPS)
    changed = client.patch(f"/students/{student['id']}", json={"name": "Ada"}).json
    assert changed["groups"] == GROUPS
    assert client.put(f"/students/{student['id']}", json=changed).json == changed


@pytest.mark.parametrize(
    "groups",
    [["CS"], ["a:b:c"], [":a"], ["a b"], [""], [7], [None], "cs", None, {}, ["x" * 65]]
    + [[f"g{i}" for i in range(51)]],
)
def test_invalid_groups_are_refused(client, groups):
    answer = client.post("/students", json={"name": "Ada", "groups": groups})
    assert problem(answer) == (422, "invalid")
    assert all(fault["pointer"].startswith("/groups") for fault in answer.json["errors"])


def test_a_student_may_have_50_groups(make, client):
    groups = sorted(f"g{i}" for i in range(50))
    student = make.student(groups=groups)
    assert student["groups"] == groups
    full = client.post("/groups/g50/add", json={"student_ids": [student["id"]]})
    assert problem(full) == (409, "too-many-groups")
    assert full.json["student_ids"] == [student["id"]]
    again = client.post("/groups/g7/add", json={"student_ids": [student["id"]]})
    assert again.json == {"group": "g7", "changed": [], "unchanged": [student["id"]]}


def test_students_of_a_group_are_listed_in_pages_and_in_every_order(client, make):
    ids = [make.student(name=name, groups=["a"])["id"] for name in ("Cy", "Ada", "Bo")]
    make.student(name="Dan", groups=["a:b", "ab"])
    make.student(name="Eve")
    assert members(client, "a") == ids
    assert members(client, "a", "&sort=-id") == ids[::-1]
    assert members(client, "a", "&sort=name") == [ids[1], ids[2], ids[0]]
    assert members(client, "a", "&sort=-created_at") == ids[::-1]
    assert members(client, "a", "&q=b") == [ids[2]]
    for sort in ("id", "-id", "name", "-name", "created_at", "-created_at"):
        whole, link, walked = members(client, "a", f"&sort={sort}"), f"group=a&sort={sort}", []
        link = f"/students?limit=1&{link}"
        while link:
            page = client.get(link)
            walked += [student["id"] for student in page.json]
            link = page.headers.get("Link", "<>")[1:].partition(">")[0]
        assert walked == whole
    assert problem(client.get("/students?group=A")) == (422, "invalid")


def test_the_roster_of_a_course_can_be_filtered_by_group(client, make):
    ids = [make.student(groups=groups)["id"] for groups in (["a"], ["b"], [])]
    course = make.course()["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": ids})
    roster = client.get(f"/courses/{course}/students?group=a").json
    assert [(student["id"], student["groups"]) for student in roster] == [(ids[0], ["a"])]


def test_students_are_added_and_removed(client, make, events):
    ids = [make.student(groups=groups)["id"] for groups in (["b"], ["a", "c"], [])]
    done = client.post("/groups/a/add", json={"student_ids": [ids[2], ids[1], ids[0]]})
    assert (done.status_code, done.json) == (
        200,
        {"group": "a", "changed": [ids[2], ids[0]], "unchanged": [ids[1]]},
    )
    shown = {student["id"]: student for student in client.get("/students").json}
    assert [shown[i]["groups"] for i in ids] == [["a", "b"], ["a", "c"], ["a"]]
    assert [shown[i]["version"] for i in ids] == [2, 1, 2]
    assert shown[ids[0]]["updated_at"] > shown[ids[0]]["created_at"]
    assert [event["student_id"] for event in events("student.changed")] == [ids[2], ids[0]]
    gone = client.post("/groups/a/remove", json={"student_ids": ids})
    assert gone.json == {"group": "a", "changed": ids, "unchanged": []}
    assert [s["groups"] for s in client.get("/students").json] == [["b"], ["c"], []]
    again = client.post("/groups/a/remove", json={"student_ids": ids[:1]})
    assert again.json == {"group": "a", "changed": [], "unchanged": ids[:1]}


def test_a_group_in_the_address_may_be_percent_encoded(client, make):
    student = make.student()["id"]
    answer = client.post("/groups/program%3Acs/add", json={"student_ids": [student]})
    assert answer.json["group"] == "program:cs"
    assert members(client, "program:cs") == members(client, "program%3Acs") == [student]


@pytest.mark.parametrize("group", ["CS", "a:b:c", "-a", "%FF", "a%2Fb", "x" * 65])
def test_an_invalid_group_in_the_address_is_refused(client, make, group):
    answer = client.post(f"/groups/{group}/add", json={"student_ids": [make.student()["id"]]})
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["parameter"] == "group"


@pytest.mark.parametrize("act", ["add", "remove"])
def test_all_missing_students_are_listed_and_nothing_is_changed(client, make, act):
    student = make.student(groups=["b"])["id"]
    body = {"student_ids": [10**9, student, 10**9 + 1]}
    answer = client.post(f"/groups/{'a' if act == 'add' else 'b'}/{act}", json=body)
    assert problem(answer) == (404, "student-not-found")
    assert answer.json["missing"] == [10**9, 10**9 + 1]
    assert client.get(f"/students/{student}").json["groups"] == ["b"]


@pytest.mark.parametrize("act", ["add", "remove"])
def test_many_students_cost_as_many_statements_as_one(client, make, statements, act):
    ids = [make.student(groups=["a"] if act == "remove" else [])["id"] for _ in range(30)]
    counts = []
    for some in (ids[:1], ids[1:]):
        with statements() as sent:
            done = client.post(f"/groups/a/{act}", json={"student_ids": some})
        assert len(done.json["changed"]) == len(some)
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_reading_students_costs_one_statement(client, make, statements):
    student = make.student(groups=GROUPS)["id"]
    make.student(groups=GROUPS)
    for path in (f"/students/{student}", "/students", "/students?group=program:cs"):
        with statements() as sent:
            client.get(path)
        assert len([one for one in sent if not one.startswith("COMMIT")]) == 1, path


def test_deleting_a_student_removes_them_from_their_groups(client, make):
    student = make.student(groups=GROUPS)["id"]
    assert client.delete(f"/students/{student}").status_code == 204
    assert members(client, "program:cs") == []


def test_groups_need_a_scope_of_their_own(guarded, new_key, make):
    client = guarded.test_client()
    clerk = bearer(new_key("students:write", name="clerk"))
    registrar = bearer(new_key("students:write", "records:write", name="registrar"))
    alone = bearer(new_key("records:write", name="alone"))
    body = {"name": "Ada", "groups": ["a"]}
    refused = client.post("/students", json=body, headers=clerk)
    assert problem(refused) == (403, "scope-missing")
    assert refused.json["scope"] == "records:write"
    assert client.post("/students", json={**body, "groups": []}, headers=clerk).status_code == 201
    path = client.post("/students", json=body, headers=registrar).headers["Location"]
    for method in (client.patch, client.put):
        for groups in (["a", "b"], []):
            assert problem(method(path, json={"groups": groups}, headers=clerk)) == (
                403,
                "scope-missing",
            )
        read = client.get(path, headers=clerk).json
        assert method(path, json=read, headers=clerk).json == read
    assert client.patch(path, json={"groups": ["b"]}, headers=registrar).json["groups"] == ["b"]
    assert problem(client.patch(path, json={"groups": ["c"]}, headers=alone)) == (
        403,
        "scope-missing",
    )
    assert problem(client.post("/groups/a/add", json={"student_ids": [1]}, headers=clerk)) == (
        403,
        "scope-missing",
    )


def test_students_see_their_own_groups(guarded, make, issuer):
    student = make.student(external_id="100", groups=GROUPS)["id"]
    me = bearer(issuer.token(number="100"))
    assert guarded.test_client().get(f"/students/{student}", headers=me).json["groups"] == GROUPS


def test_a_request_names_at_most_a_thousand_students(client):
    for act in ("add", "remove"):
        body = {"student_ids": list(range(1, 1002))}
        assert problem(client.post(f"/groups/g/{act}", json=body)) == (422, "invalid")
