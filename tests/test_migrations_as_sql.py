"""The migrations as a script for psql create the same schema as `flask db upgrade`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from devtools.gunicorn import ROOT
from devtools.postgres import BIN

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"  # writing a script asks no database


def flask(*args, url=NOWHERE):
    program = [Path(sys.executable).parent / "flask", "--app", "wsgi", "db", *args]
    env = {"DATABASE_URL": url, "PATH": os.environ["PATH"]}
    return subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def sql(*args):
    done = flask(*args, "--sql")
    assert done.returncode == 0, done.stderr
    return done.stdout


def client_program(name, url, *args, **more):
    """Run a program of PostgreSQL on the database and return its output."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [BIN / name, *args, "-d", plain], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def psql(url, script):
    return client_program("psql", url, "-X", "-q", "-v", "ON_ERROR_STOP=1", input=script)


def schema(url):
    """The contents of the database, with its revision, without the random key of the dump."""
    dump = client_program("pg_dump", url, "--inserts", "--no-owner")
    return [
        line for line in dump.splitlines() if line and not re.match(r"\\(un)?restrict|--", line)
    ]


def test_up_from_nothing_and_down_again(new_database):
    """Fails if the script needs the database, contains `%(now)s` or is not one transaction."""
    online, offline = new_database("postgresql"), new_database("postgresql")
    assert flask("upgrade", url=online).returncode == 0
    up = sql("upgrade")
    assert not re.search(r"%|advisory", up)
    statements = [line for line in up.splitlines() if line and not line.startswith("--")]
    assert (statements[0], statements[-1], statements.count("COMMIT;")) == ("BEGIN;", "COMMIT;", 1)
    psql(offline, up)
    assert schema(offline) == schema(online)
    psql(offline, sql("downgrade", "head:base"))
    left = client_program(
        "psql",
        offline,
        "-X",
        "-A",
        "-t",
        "-c",
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    )
    assert left.split() in ([], ["alembic_version"])


def test_one_step_with_rows_in_it(new_database):
    """0006 records existing enrollments with the time of the enrollment."""
    url = new_database("postgresql")
    psql(url, sql("upgrade", "0005"))
    moment = "'2026-01-01 08:00:00+00'"
    rows = (
        f"(created_at, updated_at, version, name, name_key) VALUES ({moment}, {moment}, 1, 'a', "
        "'a')"
    )
    psql(
        url,
        f"INSERT INTO students {rows}; INSERT INTO courses "
        f"{rows.replace('name_key)', 'name_key, level)')[:-1]}, 'x');"
        f"INSERT INTO student_courses (student_id, course_id, enrolled_at) VALUES (1, 1, {moment})",
    )
    psql(url, sql("upgrade", "0005:head"))
    asked = "SELECT student_id, to_state, why, at = '2026-01-01 08:00+00' FROM enrollment_events"
    assert (
        client_program("psql", url, "-X", "-A", "-t", "-c", asked).strip()
        == "1|enrolled|migrated|t"
    )


def test_a_script_that_fails_changes_nothing(new_database):
    url = new_database("postgresql")
    connection = psycopg2.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE api_keys (id text)")  # in the way of 0008
    connection.close()
    with pytest.raises(AssertionError, match="already exists"):
        psql(url, sql("upgrade"))
    assert (
        client_program(
            "psql", url, "-X", "-A", "-t", "-c", "SELECT to_regclass('students') IS NULL"
        ).strip()
        == "t"
    )


def test_sqlite_has_no_scripts():
    done = flask("upgrade", "--sql", url="sqlite:///none.db")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("--sql writes scripts for PostgreSQL only")
    assert not (ROOT / "none.db").exists()
