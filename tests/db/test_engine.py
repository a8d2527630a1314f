import sqlite3
import threading

import pytest

from course_management.db import engine


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
    engine.use_wal(waiting.cursor())
    assert waiting.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_stays_locked_is_an_error_after_a_time(path, monkeypatch):
    monkeypatch.setattr(engine, "SQLITE_LOCK_TIMEOUT_SECONDS", 0.1)
    holder = connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        engine.use_wal(connect(path).cursor())
