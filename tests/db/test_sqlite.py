import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from course_management.db import sqlite


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "school.db")


def connect(path):
    # Without a timeout, SQLite refuses at once, as for two processes that change the journal mode.
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def test_a_new_file_that_another_process_sets_up_is_waited_for(path):
    holder, waiting = connect(path), connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.2, holder.execute, ["COMMIT"]).start()
    sqlite.use_wal(waiting.cursor())
    assert waiting.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_stays_locked_is_an_error_after_a_time(path, monkeypatch):
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_SECONDS", 0.1)
    holder = connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite.use_wal(connect(path).cursor())


@pytest.fixture
def engine(path):
    made = sa.create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    sqlite.init_engine(made)
    with made.connect() as connection:
        sqlite.use_wal(connection.connection.cursor())
    yield made
    made.dispose()


def test_a_writer_that_has_waited_long_comes_before_later_ones(engine, monkeypatch):
    """Others take the lock again as soon as they gave it back, so that a writer who only polls
    waits for as long as they go on. Fails without the door.
    """
    monkeypatch.setattr(sqlite, "_PATIENCE_SECONDS", 0.05)
    over, waited = threading.Event(), []

    def write(seconds):
        with engine.connect() as connection:
            began = time.monotonic()
            connection.exec_driver_sql(sqlite.BEGIN_WRITING)
            waited.append(time.monotonic() - began)
            time.sleep(seconds)
            connection.exec_driver_sql("COMMIT")

    def write_on():
        while not over.is_set():
            write(0.01)

    threads = [threading.Thread(target=write_on) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    over.set()
    for thread in threads:
        thread.join()
    assert len(waited) > 100
    assert max(waited) < 0.5


def test_a_killed_process_leaves_the_door_open(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_SECONDS", 5.0)
    closing = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX);"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", closing, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        threading.Timer(0.2, process.kill).start()
        with engine.connect() as connection:
            connection.exec_driver_sql(sqlite.BEGIN_WRITING)
            assert process.wait() == -signal.SIGKILL
            connection.exec_driver_sql("ROLLBACK")
