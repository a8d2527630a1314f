"""Several servers of a kind: database servers of which one accepts writes, and API hosts of which
one is down.
"""

from __future__ import annotations

import shutil

import psycopg2
import pytest

from devtools.postgres import Server
from devtools.topology import Topology
from devtools.waiting import wait_until
from tests.deploy.client import ask


@pytest.fixture
def primary():
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def standby(primary):
    """A server that follows the primary by streaming replication."""
    server = Server()
    server.stop()
    shutil.rmtree(server._data)
    server._run("pg_basebackup", "-R", "--checkpoint=fast", "-d", primary.url, "-D", server._data)
    server.start()
    yield server
    server.remove()


def one(url, query):
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_a_promoted_standby_takes_over_without_a_restart(primary, standby):
    """Fails without `target_session_attrs=read-write`: the migration then connects to the standby,
    which the address names first.
    """
    address = (
        f"postgresql://postgres@/postgres?host=127.0.0.1,127.0.0.1&port={standby.port},{primary.port}"
        "&target_session_attrs=read-write"
    )
    with Topology({"DATABASE_URL": address}) as up:
        workers = up.worker_pids()
        assert ask(up, "POST", "/students", {"name": "Ada"}).status == 201
        wait_until(
            lambda: (
                one(standby.url, "SELECT pg_last_wal_replay_lsn()")
                == one(primary.url, "SELECT pg_current_wal_lsn()")
            )
        )
        primary.stop("immediate")
        away = ask(up, "POST", "/students", {"name": "nobody"})
        assert (away.status, away.headers["Retry-After"]) == (503, "2")
        standby._run("pg_ctl", "-w", "-D", standby._data, "promote")
        wait_until(lambda: ask(up, "POST", "/students", {"name": "Alan"}).status == 201)
        assert [student["name"] for student in ask(up, "GET", "/students").json] == ["Ada", "Alan"]
        assert up.worker_pids() == workers
        assert up.flask("audit").count("ok") == len(up.flask("audit").splitlines())


def test_nginx_skips_an_api_host_that_is_down(tmp_path):
    up = Topology()
    up.nginx_settings["UPSTREAM"] = f"unix:{tmp_path}/down; server unix:{up.socket}"
    with up:
        assert {ask(up, "POST", "/students", {"name": "Ada"}).status for _ in range(20)} == {201}
