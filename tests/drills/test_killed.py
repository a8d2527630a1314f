"""Workers and PostgreSQL are killed during a storm of enrollments."""

from __future__ import annotations

import http.client
import os
import signal
import time

import pytest

from devtools.gunicorn import crowd
from devtools.waiting import wait_until
from tests.drills import size
from tests.drills.storm import Storm


def test_a_worker_killed(up, record_property):
    """Only the requests in that worker fail: they get 502 or an incomplete response. Fails if one
    commit in a hundred is a rollback.
    """
    kills = size(2, 15)
    with Storm(up, courses=size(20, 150)) as storm:
        for _ in range(kills):
            storm.wait_for(150)
            (victim, *others) = up.worker_pids()
            os.kill(victim, signal.SIGKILL)
            storm.wait_for(50)
            wait_until(
                lambda gone=victim, left=others: (
                    len(set(up.worker_pids()) - {gone}) == len(left) + 1
                )
            )
    assert {type(error) for error in storm.broken} <= {http.client.IncompleteRead}
    assert storm.statuses() <= {502}
    assert all(int(answer.headers["Retry-After"]) > 0 for _, answer in storm.refused)
    assert len(storm.refused) + len(storm.broken) <= kills * len(storm.threads)
    record_property("kills", kills)
    record_property("answered", len(storm.final))
    record_property("cut off and sent again", len(storm.refused) + len(storm.broken))
    record_property("of them done already", storm.replayed())
    record_property("slowest", f"{storm.slowest:.1f} s")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarted(up, record_property, mode):
    """Requests get 503 while PostgreSQL is down, and no later request does: no client notices the
    dead connections of the pool. Fails with `synchronous_commit = off`: a seat that a response
    confirmed is then lost in the crash.
    """
    before, away = up.worker_pids(), []
    with Storm(up, courses=size(20, 60)) as storm:
        for _ in range(size(1, 5)):
            storm.wait_for(200)
            seen, began = len(storm.refused), time.monotonic()
            up.postgres.stop(mode)
            wait_until(lambda seen=seen: len(storm.refused) > seen + 5)
            up.postgres.start()
            back = time.monotonic()
            away.append((began, back))
            storm.wait_for(100)
            assert [answer.body for sent, answer in storm.refused if sent > back] == []
    assert (storm.broken, storm.statuses()) == ([], {503})
    assert {answer.headers["Retry-After"] for _, answer in storm.refused} == {"2"}
    assert up.worker_pids() == before
    record_property("restarts", len(away))
    record_property("answered", len(storm.final))
    record_property("503", len(storm.refused))
    record_property("of them done already", storm.replayed())


def test_postgresql_restarted_while_idle(up, record_property):
    """No request arrives meanwhile, so every connection of the pool is dead. The next clients
    notice nothing. Fails if a prepared statement gives up only its own connection, or without the
    repetition in `transaction.read`.
    """
    made = [("POST", "/students", {"name": f"Early {i}"}) for i in range(50)]
    early = [("GET", answer.headers["Location"]) for answer in crowd(up.port, made, 12)]
    answers = []
    for _ in range(size(2, 10)):
        assert {answer.status for answer in crowd(up.port, early, 12)} == {200}
        up.postgres.stop()
        up.postgres.start()
        answers += crowd(up.port, early, 12)
    assert [answer.body for answer in answers if answer.status != 200] == []
    record_property("answered", len(answers))
