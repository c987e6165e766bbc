"""Handles of the C library, and calls that Ctrl-C can end."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from typing import Any, Callable, List, Optional, TypeVar

from ._native import ERR_TIMED_OUT, function, lib
from .errors import Closed, Misuse, last_error

T = TypeVar("T")

# Python runs signal handlers on the main thread, between two steps of it, and not while it is
# inside the library. So the main thread comes out of a wait this often.
_SLICE = 0.1

# Which process of a row of forks this is: handles of another one are of no use here.
_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


def generation() -> int:
    """A number that changes in the child of a fork."""
    return _generation


def check(code: int) -> int:
    """Raises what a negative result stands for."""
    if code < 0:
        raise last_error(code)
    return code


def milliseconds(timeout: Optional[float]) -> int:
    """A timeout in seconds, `None` for ever, as the library takes it: rounded up."""
    if timeout is None:
        return -1
    if timeout != timeout:
        raise Misuse("a timeout that is not a number")
    return min(max(0, -int(-timeout * 1000 // 1)), 1 << 50)


def small_ms(seconds: float) -> int:
    """Seconds of a setting as milliseconds of 32 bits."""
    value = round(seconds * 1000)
    if not 0 <= value < 1 << 32:
        raise Misuse(f"{seconds} s is out of range")
    return value


def is_main() -> bool:
    """Whether this is the thread that gets signals."""
    return threading.current_thread() is threading.main_thread()


def sliced(call: Callable[[int], int], timeout: Optional[float]) -> int:
    """Makes a call that takes a timeout in milliseconds and can be made again when that is over.

    On the main thread it is made in slices, so that Ctrl-C gets through.
    """
    if not is_main() or (timeout is not None and timeout <= _SLICE):
        return check(call(milliseconds(timeout)))
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SLICE if until is None else min(until - time.monotonic(), _SLICE)
        result = int(call(milliseconds(left)))
        if result != ERR_TIMED_OUT or (until is not None and time.monotonic() >= until):
            return check(result)


def interruptible(call: Callable[[], T], timeout: Optional[float]) -> T:
    """Makes a call that must not be made in slices.

    On the main thread another one makes it, so that Ctrl-C gets through; it then goes on there,
    to its own timeout at most, and nobody looks at what comes of it.
    """
    if not is_main() or (timeout is not None and timeout <= 0):
        return call()
    results: List[T] = []
    failures: List[BaseException] = []

    def make() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: B902: it is raised where it belongs.
            failures.append(error)
        finally:
            done.set()

    done = threading.Event()
    threading.Thread(target=make, name="bmclink-call", daemon=True).start()
    done.wait()
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()
    return results[0]


def _free(free: Callable[[int], int], handle: int, born: int) -> None:
    # In a child process the threads behind the handle do not exist: nothing to end, or to wait for.
    if born == _generation:
        free(handle)


class Handle:
    """An object of the library's. It is freed when it is closed or nobody has it any more."""

    def __init__(self, make: Callable[[Any], int], free: str) -> None:
        self._number = 0
        self._generation = _generation
        place = ctypes.c_void_p()
        check(make(ctypes.byref(place)))
        self._number = place.value or 0
        self._finalizer = weakref.finalize(
            self, _free, function(free), self._number, self._generation
        )

    @property
    def number(self) -> int:
        """What C calls the object."""
        if self._generation != _generation:
            raise Misuse("this was made in another process, before a fork: make it anew in this one")
        if not self._finalizer.alive:
            raise Closed("it was closed")
        return self._number

    @property
    def is_freed(self) -> bool:
        """Whether it was freed, or belongs to another process."""
        return self._generation != _generation or not self._finalizer.alive

    def free(self) -> None:
        """Frees the object now; doing so again does nothing."""
        self._finalizer()


_buffers = threading.local()


def buffer() -> Any:
    """This thread's place for bytes that are read, of `BUFFER_LEN`."""
    found = getattr(_buffers, "bytes", None)
    if found is None:
        found = _buffers.bytes = ctypes.create_string_buffer(BUFFER_LEN)
    return found


BUFFER_LEN = 65536


def address(call: Callable[[Any, int, Any], int]) -> "tuple[str, int]":
    """Has a function tell an address and a port."""
    place = ctypes.create_string_buffer(64)
    port = ctypes.c_uint16()
    check(call(place, len(place), ctypes.byref(port)))
    return place.value.decode(), port.value


def stats(make: Callable[[Any], int]) -> "dict[str, int]":
    """A snapshot of what was counted, by the library's names."""
    handle = Handle(make, "stats_free")
    try:
        found: "dict[str, int]" = {}
        number = 1
        value = ctypes.c_uint64()
        while True:
            name = lib.stat_name(number)
            if name is None:
                return found
            # One that this snapshot does not have is left out.
            if lib.stats_value(handle.number, number, ctypes.byref(value)) == 0:
                found[name.decode()] = value.value
            number += 1
    finally:
        handle.free()


