"""`q` finds students by the beginnings of words of their names, alike on both databases."""

from __future__ import annotations

import sqlalchemy as sa

from course_management.db.base import db
from course_management.db.transaction import transaction
from tests.db.test_keyset import walk

NAMES = (
    *("Ada Lovelace", "ada  KING", "Jean-Luc Picard", "Zoë Straße", "Анна Каренина"),
    *('Bo "Ann" \\b%_', "O'Hara 名前", "- Dash -", "An An Andersson-An", "Ÿ\u0301 Ñandú"),
)


def names(client, q):
    answer = client.get("/students", query_string={"q": q, "limit": "1000"})
    assert answer.status_code == 200, answer.text
    return [student["name"] for student in answer.json]


def test_the_beginning_of_any_word_finds_a_student(client, make):
    for name in NAMES:
        make.student(name=name)
    for q, found in (
        ("lovelace", ["Ada Lovelace"]),
        ("LOVE", ["Ada Lovelace"]),
        ("ada", ["Ada Lovelace", "ada  KING"]),
        ("luc", ["Jean-Luc Picard"]),
        ("jean-l", ["Jean-Luc Picard"]),
        ("strasse", ["Zoë Straße"]),
        ("STRASS zOË", ["Zoë Straße"]),
        ("каре", ["Анна Каренина"]),
        ('"ann', ['Bo "Ann" \\b%_']),
        ("\\B%", ['Bo "Ann" \\b%_']),
        ("名", ["O'Hara 名前"]),
        ("o'h", ["O'Hara 名前"]),
        ("ñ", ["Ÿ\u0301 Ñandú"]),
        ("dash", ["- Dash -"]),
        ("an an a", ["An An Andersson-An"]),
        ("lovelace ada", ["Ada Lovelace"]),
        ("ada k", ["ada  KING"]),
        *((q, []) for q in ("ovelace", "ada x", "k l", "-", "- -", "%", "_", "hara", "a'", "uc")),
    ):
        assert names(client, q) == found, q


def test_pages_of_a_search_in_every_order(client, make):
    for i in range(15):
        make.student(name=("Bo Ann {}", "Ann Bo-Ann {}", "Cy {}")[i % 3].format(i))
    for sort in ("id", "-id", "name", "-name", "created_at", "-created_at"):
        whole = client.get(f"/students?sort={sort}").json
        for q, leaves_out in (("ann", ("Cy",)), ("b%20ann", ("Cy",)), ("c", ("Bo", "Ann"))):
            walked = list(walk(client, f"/students?limit=2&sort={sort}&q={q}"))
            assert walked == [s for s in whole if not s["name"].startswith(leaves_out)]


def test_rosters_and_groups_are_searched_too(client, make):
    course = make.course()["id"]
    ada, bo = (make.student(name=name, groups=["g"])["id"] for name in ("Ada Bee", "Bo Cee"))
    make.student(name="Cy Bee", groups=["h"])
    client.post(f"/courses/{course}/students", json={"student_ids": [ada, bo]})
    for path in (f"/courses/{course}/students?", "/students?group=g&", f"/students?id={ada}&"):
        assert [s["id"] for s in client.get(f"{path}q=bee").json] == [ada]
        assert [s["id"] for s in client.get(f"{path}q=bee%20a").json] == [ada]
    counted = client.get("/students?q=bee&limit=1", headers={"Prefer": "count=exact"})
    assert counted.headers["Total-Count"] == "2"


def test_a_search_costs_one_statement(client, make, statements):
    make.student(name="Ada Lovelace King")
    for q in ("ada", "ada%20lovelace", "ada%20lovelace%20king"):
        with statements() as sent:
            assert len(client.get(f"/students?q={q}").json) == 1
        assert len(sent) == 1


def test_words_follow_the_name(client, make, app):
    student = make.student(name="Ada Lovelace")["id"]
    client.patch(f"/students/{student}", json={"name": "Ada King"})
    assert (names(client, "love"), names(client, "king")) == ([], ["Ada King"])
    client.patch(f"/students/{student}?dry_run=true", json={"name": "Ada Rolled"})
    assert names(client, "rolled") == []
    client.patch(f"/students/{student}", json={"name": "ADA KING"})
    assert names(client, "king") == ["ADA KING"]
    client.delete(f"/students/{student}")
    with app.app_context(), transaction(writing=False) as session:
        count = "SELECT count(*) FROM student_words WHERE student_id = :id"
        assert session.scalar(sa.text(count), {"id": student}) == 0


def test_an_older_release_writes_words_too(app, client):
    """It knows nothing of the table, and inserts and renames many students at once."""
    columns = "(created_at, updated_at, version, name, name_key)"
    moment = "'2026-01-01 08:00:00.000000'"
    rows = ", ".join(f"({moment}, {moment}, 1, 'Old {i}', 'old n-{i}')" for i in range(3))
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO students {columns} VALUES {rows}"))
        connection.execute(
            sa.text("UPDATE students SET name_key = 'new w' WHERE name_key LIKE 'old%' AND id > 0")
        )
    assert len(names(client, "w")) == 3
    assert names(client, "old") == []
    assert app.test_cli_runner().invoke(args=["audit"]).exit_code == 0
