"""Waiting for many consoles."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Dict, List, Optional, Tuple, Union

from ._handle import Handle, check, sliced
from ._native import lib
from .console import Console
from .enums import Ready
from .errors import Misuse, TimedOut
from .fleet import FleetRun
from .reader import Reader

__all__ = ["EventQueue"]

_CAPACITY = 256

#: What can be waited for.
Source = Union[Console, Reader, FleetRun]


def _noun(what: Source) -> str:
    if isinstance(what, Console):
        return "console"
    return "reader" if isinstance(what, Reader) else "run"


class EventQueue:
    """Says which of many consoles, readers and runs of fleets have something, with one descriptor
    for all.

    Readers are what is read from: a console in the queue reports its state and room for input. A
    run is readable when it has a row.
    """

    def __init__(self) -> None:
        self._handle = Handle(lib.event_queue_new, "event_queue_free")
        self._lock = threading.Lock()
        self._keys: Dict[int, Any] = {}
        self._numbers: Dict[int, int] = {}
        self._last = 0

    def add(self, what: Source, key: Any = None) -> None:
        """Adds something, to be reported as `key`, or as itself.

        It is kept until it is removed. Fails with `Misuse` when it is in the queue already.
        """
        with self._lock:
            if id(what) in self._numbers:
                raise Misuse("it is in the queue already")
            self._last += 1
            number = self._last
            self._keys[number] = (what, what if key is None else key)
            self._numbers[id(what)] = number
        add = getattr(lib, "event_queue_add_" + _noun(what))
        try:
            check(add(self._handle.number, what._handle.number, number))
        except BaseException:
            self._forget(what)
            raise

    def _forget(self, what: Source) -> None:
        with self._lock:
            self._keys.pop(self._numbers.pop(id(what), 0), None)

    def remove(self, what: Source) -> None:
        """Takes it out; nothing when it is not in it. What is freed leaves by itself."""
        self._forget(what)
        if not self._handle.is_freed and not what._handle.is_freed:
            remove = getattr(lib, "event_queue_remove_" + _noun(what))
            remove(self._handle.number, what._handle.number)

    def wait(self, timeout: Optional[float] = None) -> List[Tuple[Any, Ready]]:
        """What has something, and what: at least one pair of key and `Ready`.

        Each report is made once; a program that reads once per report gets everything. Fails with
        `TimedOut`, and with `Closed` when the queue is closed meanwhile.
        """
        keys = (ctypes.c_uint64 * _CAPACITY)()
        events = (ctypes.c_int32 * _CAPACITY)()
        number = self._handle.number
        count = sliced(
            lambda ms: int(lib.event_queue_wait(number, keys, events, _CAPACITY, ms)), timeout
        )
        found = []
        with self._lock:
            for place in range(count):
                entry = self._keys.get(keys[place])
                if entry is not None:
                    found.append((entry[1], Ready(events[place])))
        return found

    def poll(self) -> List[Tuple[Any, Ready]]:
        """What has something at this moment: maybe nothing."""
        try:
            return self.wait(0)
        except TimedOut:
            return []

    def fileno(self) -> int:
        """A descriptor that is readable exactly while `wait` would give something at once."""
        return check(lib.event_queue_fd(self._handle.number))

    def close(self) -> None:
        """Frees it. What was added stays as it is."""
        self._handle.free()
        with self._lock:
            self._keys.clear()
            self._numbers.clear()

    def __enter__(self) -> "EventQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
