"""Who calls the functions a program has given: whoever waits, and nobody else."""

from __future__ import annotations

import os
import threading
import time
from typing import Dict, Optional, Protocol, Tuple

from ...enums import Ready
from ...errors import Closed, TimedOut
from ...queue import EventQueue, Source


class Listener(Protocol):
    """What is told that a source of its own has something."""

    def on_ready(self, source: Source, ready: Ready) -> None: ...


class Pump:
    """One event queue for everything of this process."""

    _lock = threading.Lock()
    _current: Optional["Pump"] = None

    def __init__(self) -> None:
        self._queue = EventQueue()
        self._sources: Dict[int, Tuple[Source, Listener]] = {}

    @classmethod
    def current(cls) -> "Pump":
        with cls._lock:
            if cls._current is None:
                cls._current = cls()
            return cls._current

    def add(self, source: Source, listener: Listener) -> None:
        self._sources[id(source)] = (source, listener)
        self._queue.add(source, (source, listener))

    def remove(self, source: Source) -> None:
        self._sources.pop(id(source), None)
        self._queue.remove(source)

    def run(self, timeout: Optional[float]) -> int:
        """Waits for something, tells whose it is, and says how many sources there are."""
        if not self._sources:
            # As a wait it is one; but not for ever for nothing.
            if timeout:
                time.sleep(timeout)
            return 0
        try:
            ready = self._queue.wait(timeout)
        except (TimedOut, Closed):
            return len(self._sources)
        for (source, listener), what in ready:
            if id(source) in self._sources:
                listener.on_ready(source, what)
        return len(self._sources)


def _forked() -> None:
    Pump._lock = threading.Lock()
    Pump._current = None


os.register_at_fork(after_in_child=_forked)

