"""What the workers know of each other: connections, in memory they inherit, and prometheus_client's
values, in files.

The library's own class for such values costs three times what this one does: it asks at every step
whether the process has forked since, and packs a moment that nobody reads. These are made after the
fork, and written by one process. The files, and adding them up, are the library's.
"""

from __future__ import annotations

from mmap import PAGESIZE, mmap
from threading import Lock
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

# By the slot of a worker: one more than it has connections; 0 where there is none. Made before the
# fork.
connections = memoryview(mmap(-1, PAGESIZE)).cast("i")


def value_class(folder: str, slot: int) -> type:
    """The class of values in the files of `slot`, a number that no other live process uses; it
    counts on from what is there.
    """
    files: dict[str, Any] = {}
    lock = Lock()

    class SharedValue:
        def __init__(
            self,
            kind: str,
            metric: str,
            name: str,
            labels: Any,
            values: Any,
            text: str,
            multiprocess_mode: str = "",
            **_: Any,
        ) -> None:
            prefix = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
            key = mmap_key(metric, name, labels, values, text)
            with lock:
                if prefix not in files:
                    files[prefix] = MmapedDict(f"{folder}/{prefix}_{slot}.db")  # type: ignore[no-untyped-call]
                file = files[prefix]
                file.read_value(key)  # makes its place where it is new
                self._place = file._positions[key] // 8
                # the file may grow: this stays a view of its beginning
                self._cells = memoryview(file._m).cast("d")

        def inc(self, amount: float) -> None:
            with lock:
                self._cells[self._place] += amount

        def set(self, value: float, timestamp: float | None = None) -> None:
            self._cells[self._place] = value

        def get(self) -> float:
            return float(self._cells[self._place])

        def get_exemplar(self) -> None:
            return None

    return SharedValue
