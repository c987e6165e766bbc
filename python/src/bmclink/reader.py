"""Those who read a console."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import TYPE_CHECKING, Callable, Iterator, Optional

from ._handle import BUFFER_LEN, Handle, buffer, check, sliced
from ._native import lib
from .enums import Event
from .errors import Closed, Misuse, TimedOut, error_of
from .events import ConsoleEvent

if TYPE_CHECKING:
    from .console import Console

__all__ = ["Reader"]


class _Deadline:
    """What is left of a timeout that several waits share."""

    def __init__(self, timeout: Optional[float]) -> None:
        if timeout is not None and timeout != timeout:
            raise Misuse("a timeout that is not a number")
        self._until = None if timeout is None else time.monotonic() + timeout

    def left(self) -> Optional[float]:
        return None if self._until is None else max(0.0, self._until - time.monotonic())


class Reader:
    """One attached reader of a console, with its own place in what that printed.

    Each reader sees every byte. One that stays away loses its own oldest bytes only, and is told
    how many. Threads that read from the same reader take turns. Iterating gives the events.

    `read`, `readline` and `read_until` give bytes and fail when the connection is lost; `next` and
    `events` give everything that happens, and wait for the next connection.
    """

    def __init__(self, console: "Console", replay: bool = True) -> None:
        number = console._handle.number
        self._handle = Handle(
            lambda place: lib.reader_open(number, int(replay), place), "reader_free"
        )
        # For as long as somebody reads, its callbacks and its BMC stay.
        self._console = console
        self._lock = threading.Lock()
        # Read, and not asked for yet.
        self._kept = b""

    @property
    def console(self) -> "Console":
        """The console it reads."""
        return self._console

    def read(self, size: int = BUFFER_LEN, timeout: Optional[float] = None) -> bytes:
        """What the console printed: at least one byte, at most `size`. b"" when it was closed.

        Waits while the console was never connected or is being connected. After a loss, gives
        what is left and then fails with the reason, until it is connected again.
        """
        if size <= 0:
            return b""
        with self._turn(timeout) as turn:
            if not self._kept:
                return self._receive(min(size, BUFFER_LEN), turn.left())
            taken, self._kept = self._kept[:size], self._kept[size:]
            return taken

    def readline(self, timeout: Optional[float] = None) -> bytes:
        """A line with its newline. Without one when the console was closed behind it.

        When the time is over, or the connection lost, what there is of the line is kept for the
        next read.
        """
        return self.read_until(b"\n", timeout)

    def read_until(self, end: bytes, timeout: Optional[float] = None) -> bytes:
        """Everything up to and with these bytes; all there is when the console was closed before
        they came. See `readline`."""
        return self._read_to(lambda text, seen: _behind(text, end, seen), timeout)

    def _read_to(
        self, find: Callable[[bytes, int], int], timeout: Optional[float]
    ) -> bytes:
        with self._turn(timeout) as turn:
            seen = 0
            while True:
                place = find(self._kept, seen)
                if place >= 0:
                    taken, self._kept = self._kept[:place], self._kept[place:]
                    return taken
                seen = len(self._kept)
                more = self._receive(BUFFER_LEN, turn.left())
                if not more:
                    taken, self._kept = self._kept, b""
                    return taken
                self._kept += more

    def _receive(self, size: int, timeout: Optional[float]) -> bytes:
        place = buffer()
        try:
            number = self._handle.number
            length = sliced(lambda ms: int(lib.reader_read(number, place, size, ms)), timeout)
        except Closed:
            return b""
        return ctypes.string_at(place, length)

    def next(self, timeout: Optional[float] = None) -> ConsoleEvent:
        """What is next: bytes up to where something happened, or what happened there.

        A loss is an event here. Fails with `Closed` behind the last event of a console that was
        closed, and with `TimedOut`.
        """
        with self._turn(timeout) as turn:
            if self._kept:
                taken, self._kept = self._kept, b""
                return ConsoleEvent(Event.DATA, taken, time=time.time())
            number, place = self._handle.number, buffer()
            kind, count = ctypes.c_int32(), ctypes.c_uint64()

            def call(ms: int) -> int:
                outputs = ctypes.byref(kind), ctypes.byref(count)
                return int(lib.reader_next(number, place, BUFFER_LEN, ms, *outputs))

            length = sliced(call, turn.left())
            return self._event(number, kind.value, ctypes.string_at(place, length), count.value)

    def _event(self, number: int, kind: int, data: bytes, count: int) -> ConsoleEvent:
        reason = None
        if kind == Event.DISCONNECTED:
            reason = error_of(lib.reader_event_reason(number))
        age = max(0, lib.reader_event_age_ms(number))
        epoch = max(0, lib.reader_event_epoch(number))
        now = time.time() - age / 1000
        return ConsoleEvent(Event(kind), data, count, epoch, now, reason)

    def events(self, timeout: Optional[float] = None) -> Iterator[ConsoleEvent]:
        """Everything that happens, until the console is closed, or until nothing has happened
        for `timeout` seconds."""
        while True:
            try:
                event = self.next(timeout)
            except (Closed, TimedOut):
                return
            yield event

    def __iter__(self) -> Iterator[ConsoleEvent]:
        return self.events()

    def _turn(self, timeout: Optional[float]) -> "_Turn":
        return _Turn(self._lock, timeout)

    @property
    def lost(self) -> int:
        """How many bytes were overwritten before this reader came to them."""
        return check(lib.reader_lost(self._handle.number))

    def fileno(self) -> int:
        """A descriptor that is readable exactly while a read would not block: for poll, select and
        event loops. It is not to be closed or read from.

        It is about bytes before the first `next`, and about events after it. What `readline` and
        `read_until` left over is not seen in it: use one or the other.
        """
        return check(lib.reader_fd(self._handle.number))

    def close(self) -> None:
        """Detaches it. Reads that wait in other threads end as if the console was closed."""
        self._handle.free()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _behind(text: bytes, end: bytes, seen: int) -> int:
    """Where `end` ends in a text of which the first `seen` bytes were looked at before."""
    place = text.find(end, max(0, seen - len(end) + 1))
    return -1 if place < 0 else place + len(end)


class _Turn(_Deadline):
    """The right to read, waited for as part of the timeout."""

    def __init__(self, lock: threading.Lock, timeout: Optional[float]) -> None:
        super().__init__(timeout)
        self._lock = lock

    def __enter__(self) -> "_Turn":
        left = self.left()
        if not self._lock.acquire(timeout=-1 if left is None else min(left, 1 << 20)):
            raise TimedOut("another thread reads")
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
