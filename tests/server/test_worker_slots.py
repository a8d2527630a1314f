"""The metric files of workers are added up over the slots, and the next worker of a slot continues
them.
"""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from course_management.server import worker_slots


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Creates the counter and the gauge of a worker in a slot, as `hooks.post_fork` does. The files
    end with the test.
    """
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    classes = []

    def make(slot):
        classes.append(values.MultiProcessValue(process_identifier=lambda: slot))
        monkeypatch.setattr(values, "ValueClass", classes[-1])
        registry = CollectorRegistry()
        counter = Counter("answers_total", "Answers.", ["route"], registry=registry)
        return counter, Gauge("busy", "Busy.", multiprocess_mode="livesum", registry=registry)

    yield make
    for cls in classes:
        cls.close_all_files()


@pytest.fixture
def read(tmp_path):
    """The sums over the files of all workers."""

    def collect():
        found = MultiProcessCollector(None, path=str(tmp_path)).collect()
        return {(s.name, *s.labels.values()): s.value for metric in found for s in metric.samples}

    return collect


def test_workers_add_up_and_a_successor_continues_the_counts(worker, read, tmp_path):
    """Fails if the successor begins a new file: the sum is then 4."""
    for slot, answers in ((0, 3), (1, 4)):
        counter, busy = worker(slot)
        counter.labels("/a").inc(answers)
        busy.set(slot + 1)
    assert read() == {("answers_total", "/a"): 7, ("busy",): 3}
    mark_process_dead(0, path=str(tmp_path))
    counter, busy = worker(0)
    counter.labels("/a").inc()
    assert read() == {("answers_total", "/a"): 8, ("busy",): 2}


def test_a_worker_gets_the_slot_of_a_dead_one():
    assert worker_slots.free_slot([]) == 0
    assert worker_slots.free_slot([0, 2]) == 1
    assert worker_slots.free_slot([1, 0]) == 2
