"""Values in files: read by whoever adds them up, gone on with by the next of the slot, whole
when the file grows.
"""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from course_management.server import worker_slots


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Makes the counter and the gauge of a worker in a slot; its files end with the test, as
    with a process.
    """
    opened = []
    monkeypatch.setattr(
        worker_slots, "MmapedDict", lambda path: opened.append(MmapedDict(path)) or opened[-1]
    )

    def make(slot):
        monkeypatch.setattr(values, "ValueClass", worker_slots.value_class(str(tmp_path), slot))
        registry = CollectorRegistry()
        counter = Counter("answers_total", "Answers.", ["route"], registry=registry)
        return counter, Gauge("busy", "Busy.", multiprocess_mode="livesum", registry=registry)

    yield make
    for file in opened:
        file._f.close()


@pytest.fixture
def read(tmp_path):
    """What the workers' files say together."""

    def collect():
        found = MultiProcessCollector(None, path=str(tmp_path)).collect()
        return {(s.name, *s.labels.values()): s.value for metric in found for s in metric.samples}

    return collect


def test_workers_add_up_and_a_successor_counts_on(worker, read, tmp_path):
    """With a fresh file for the successor the sum is 4: seen to fail so."""
    for slot, answers in ((0, 3), (1, 4)):
        counter, busy = worker(slot)
        counter.labels("/a").inc(answers)
        busy.set(slot + 1)
    assert read() == {("answers_total", "/a"): 7, ("busy",): 3}
    mark_process_dead(0, path=str(tmp_path))
    counter, busy = worker(0)
    counter.labels("/a").inc()
    assert read() == {("answers_total", "/a"): 8, ("busy",): 2}


def test_a_file_that_grows_keeps_every_value(worker, read):
    counter, _ = worker(0)
    first = counter.labels("first")
    first.inc()
    for i in range(3000):  # the file begins with 64 KiB
        counter.labels(f"/{i}").inc(i)
    first.inc()
    found = read()
    assert found[("answers_total", "first")] == 2
    assert all(found[("answers_total", f"/{i}")] == i for i in range(3000))


def test_threads_lose_no_count(worker, read):
    counter, busy = worker(0)
    threads = [
        threading.Thread(
            target=lambda: [counter.labels("/a").inc() or busy.dec() for _ in range(20_000)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read() == {("answers_total", "/a"): 80_000, ("busy",): -80_000}
