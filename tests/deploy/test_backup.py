"""Runs the backup commands of docs/operations.md: the backup of a busy service, restored, has all
rows and passes the audit.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter

import psycopg2
import pytest

from devtools.topology import Topology
from devtools.waiting import wait_until
from tests.deploy.client import Load
from tests.deploy.commands import commands, run

PLENTY = {"ADDRESS_RATE": "100000"}
TABLES = ("students", "courses", "student_courses", "enrollment_events", "idempotency_keys")


def counts(connection):
    cursor = connection.cursor()
    found = Counter()
    for table in TABLES:
        cursor.execute(f"SELECT count(*) FROM {table}")
        found[table] = cursor.fetchone()[0]
    connection.close()
    return found


@pytest.fixture
def blocks():
    """The commands for a dump, for a restore, for both on SQLite, and for both on a host of its
    own.
    """
    return commands("Back up and restore")


def test_postgresql(tmp_path, blocks):
    dump, restore, *_ = blocks
    with Topology(nginx=PLENTY) as up:
        up.flask("load-demo", "--students", "500", "--courses", "40", "--each", "4")
        path = f"{up.postgres.bin}:{os.environ['PATH']}"
        urls = {
            "DATABASE_URL": up.postgres.url,
            "RESTORED_URL": up.postgres.url.removesuffix("postgres") + "school_restored",
        }
        before = counts(psycopg2.connect(urls["DATABASE_URL"]))
        with Load(up) as load:
            wait_until(lambda: load.made() > 20)
            run(dump, tmp_path, PATH=path, **urls)
            made = load.made()
        said = run(restore, tmp_path, PATH=path, **urls)
        restored = counts(psycopg2.connect(urls["RESTORED_URL"]))
    assert "ok   schema: has what this release needs" in said
    assert "FAIL" not in said
    assert (
        before["students"] + 20
        <= restored["students"]
        <= before["students"] + made + len(load.threads)
    )
    # Every student who was created meanwhile has an event.
    events = before["enrollment_events"] + restored["students"] - before["students"]
    assert restored == before | {"students": restored["students"], "enrollment_events": events}


def test_sqlite(tmp_path, blocks):
    """Fails with `cp school.db copy.db` instead of VACUUM INTO: the copy lacks rows of the WAL."""
    with Topology({"DATABASE_URL": f"sqlite:///{tmp_path}/school.db"}, PLENTY) as up:
        up.flask("load-demo", "--students", "500", "--courses", "40", "--each", "4")
        with Load(up, clients=2) as load:
            wait_until(lambda: load.made() > 20)
            said = run(blocks[2], tmp_path)
        restored = counts(sqlite3.connect(tmp_path / "copy.db"))
    assert said.startswith("ok   seats taken = enrolled rows")
    assert "FAIL" not in said
    assert restored["students"] > 500 + 20
    assert restored["student_courses"] == 2000


def test_the_password_is_not_an_argument_of_the_backup(tmp_path, blocks):
    """Every user of a host can read the arguments of a command. So the commands leave out the
    password, and libpq reads it from a file.
    """
    (line,) = [line for line in blocks[3].splitlines() if line.startswith("URL=")]
    (tmp_path / "url").write_text(
        "postgresql://course_management:s3cret:x@db.example.edu/course_management?sslmode=verify-full\n"
    )
    said = run(
        line.replace("/etc/course-management/database-url", str(tmp_path / "url"))
        + '\necho "$URL"',
        tmp_path,
    )
    assert (
        said
        == "postgresql://course_management@db.example.edu/course_management?sslmode=verify-full\n"
    )
    assert any("PGPASSFILE" in block for block in blocks)
