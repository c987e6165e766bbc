"""The serial console of a BMC."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
import weakref
from typing import Any, Callable, Dict, Iterator, Optional, Union

from ._handle import BUFFER_LEN, Handle, check, interruptible, milliseconds, sliced
from ._native import CONSOLE_CALLBACK, ERR_TIMED_OUT, lib
from .bmc import Bmc
from .engine import Engine
from .enums import COUNTERS, Event, State
from .errors import BmcError, Closed, TimedOut, error_of
from .events import ConsoleEvent, Why
from .options import ConsoleOptions, ExecOptions
from .reader import Reader, _Deadline

__all__ = ["Console"]

_NEVER = (1 << 64) - 1

#: What can be written.
Bytes = Union[bytes, bytearray, memoryview]


class Console:
    """The serial console of a BMC, by Serial over LAN; or the terminal of a command, of
    `Engine.exec_console`. Bytes go through unchanged, all 256 values of them.

    A context manager, which closes it. Reading goes through a `Reader` of its own, which is
    attached by the first read and then gets what is kept of the past; `reader` gives more of them.
    Iterating gives events. Methods may be called from any thread; those that wait have a timeout
    in seconds, `None` for ever, and end with `KeyboardInterrupt` on Ctrl-C.
    """

    def __init__(self, bmc: Bmc, options: Optional[ConsoleOptions] = None) -> None:
        self._begin(bmc, options or ConsoleOptions())
        made = self._options._make()
        number = bmc._handle.number
        self._handle = Handle(
            lambda place: lib.console_open(number, made.number, place), "console_free"
        )

    @classmethod
    def _of_command(
        cls, engine: Engine, command: ExecOptions, options: ConsoleOptions
    ) -> "Console":
        console = cls.__new__(cls)
        console._begin(None, options)
        run, made, number = command._make(), options._make(), engine._handle.number
        console._handle = Handle(
            lambda place: lib.exec_open(number, run.number, made.number, place), "console_free"
        )
        return console

    def _begin(self, bmc: Optional[Bmc], options: ConsoleOptions) -> None:
        self._bmc = bmc
        self._options = options
        self._lock = threading.Lock()
        self._reader: Optional[Reader] = None
        self._callback = 0

    @property
    def bmc(self) -> Optional[Bmc]:
        """The BMC; `None` for the console of a command."""
        return self._bmc

    @property
    def options(self) -> ConsoleOptions:
        """How it is run."""
        return self._options

    def reconfigure(self, options: ConsoleOptions) -> None:
        """Runs it in another way from now on: see `dataclasses.replace`.

        What is about SOL itself closes SOL and opens it again; readers wait meanwhile. The rest
        breaks nothing, and neither do equal options. Does not wait for that.
        """
        made = options._make()
        check(lib.console_reconfigure(self._handle.number, made.number))
        self._options = options

    def reconfigure_exec(self, command: ExecOptions) -> None:
        """Runs another command from now on. Does not wait for it."""
        made = command._make()
        check(lib.console_reconfigure_exec(self._handle.number, made.number))

    # Its life.

    def connect(self, timeout: Optional[float] = 30.0) -> "Console":
        """Connects, logging in first when no session is up, and waits until SOL is active, or
        fails with the cause: besides those of `Bmc.connect`, `SolDisabled`, `SolInUse`,
        `SolRefused`, `Busy` and `Closed`. Gives the console."""
        number, wait = self._handle.number, milliseconds(timeout)
        interruptible(lambda: check(lib.console_connect(number, wait)), timeout)
        return self

    def begin_connect(self) -> None:
        """Begins to connect and does not wait: `state` is `CONNECTING` until it is known."""
        check(lib.console_begin_connect(self._handle.number))

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return State(check(lib.console_state(self._handle.number)))

    def wait_state(self, seen: State, timeout: Optional[float] = None) -> State:
        """Waits until the state is another one than `seen`, and gives it."""
        number = self._handle.number
        call = lambda ms: int(lib.console_wait_state(number, int(seen), ms))  # noqa: E731
        return State(sliced(call, timeout))

    @property
    def reason(self) -> Optional[BmcError]:
        """Why it is not connected; `None` when it is, or was never tried to be."""
        return error_of(lib.console_reason(self._handle.number))

    def why(self) -> Why:
        """State, since when, why, and when it is tried again, all at one moment."""
        state, reason = ctypes.c_int32(), ctypes.c_int32()
        since, again = ctypes.c_uint64(), ctypes.c_uint64()
        places = (ctypes.byref(place) for place in (state, reason, since, again))
        check(lib.console_why(self._handle.number, *places))
        return Why(
            State(state.value),
            error_of(reason.value),
            since.value / 1000,
            None if again.value == _NEVER else again.value / 1000,
        )

    def counters(self) -> Dict[str, int]:
        """What was counted, over all its connections."""
        number, value = self._handle.number, ctypes.c_uint64()
        found: Dict[str, int] = {}
        for name, counter in COUNTERS.items():
            check(lib.console_counter(number, counter, ctypes.byref(value)))
            if value.value != _NEVER:
                found[name] = value.value
        return found

    def close(self, timeout: Optional[float] = 2.0) -> None:
        """Deactivates SOL, waits for at most so long until the BMC has done so, and frees it.

        The session under it lives on. Calls that wait on this console end with `Closed`; readers
        first get what is left. Closing again does nothing.
        """
        if self._handle.is_freed:
            return
        number, wait = self._handle.number, milliseconds(timeout)
        try:
            interruptible(lambda: lib.console_close(number, wait), timeout)
        finally:
            self._handle.free()
            _callbacks.pop(self._callback, None)

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading.

    def reader(self, replay: bool = True) -> Reader:
        """Attaches a reader that first gets what is kept of the past, or only what comes."""
        return Reader(self, replay)

    def _own(self) -> Reader:
        with self._lock:
            if self._reader is None:
                self._reader = _OwnReader(self)
            return self._reader

    def read(self, size: int = BUFFER_LEN, timeout: Optional[float] = None) -> bytes:
        """What it printed: see `Reader.read`."""
        return self._own().read(size, timeout)

    def readline(self, timeout: Optional[float] = None) -> bytes:
        """A line: see `Reader.readline`."""
        return self._own().readline(timeout)

    def read_until(self, end: bytes, timeout: Optional[float] = None) -> bytes:
        """Everything up to and with these bytes: see `Reader.read_until`."""
        return self._own().read_until(end, timeout)

    def next(self, timeout: Optional[float] = None) -> ConsoleEvent:
        """What happens next: see `Reader.next`."""
        return self._own().next(timeout)

    def events(self, timeout: Optional[float] = None) -> Iterator[ConsoleEvent]:
        """Everything that happens: see `Reader.events`."""
        return self._own().events(timeout)

    def __iter__(self) -> Iterator[ConsoleEvent]:
        return self.events()

    def fileno(self) -> int:
        """A descriptor to poll: see `Reader.fileno`."""
        return self._own().fileno()

    # Writing.

    def write(self, data: Bytes, timeout: Optional[float] = None) -> int:
        """Gives all of these bytes to the console, waiting for room where there is none, and
        says how many they were.

        They are sent in order, each once; `drain` tells when the BMC has them. Fails with
        `NotConnected`, `Lost` or `Closed` while it is not connected, with `TimedOut` when the
        time is over; `TimedOut.written` says how many were taken then.
        """
        left, deadline, number = memoryview(data).cast("B"), _Deadline(timeout), self._handle.number
        length = len(left)
        while len(left) > 0:
            chunk = bytes(left[:BUFFER_LEN])
            try:
                taken = sliced(
                    lambda ms: int(lib.console_write(number, chunk, len(chunk), ms)),
                    deadline.left(),
                )
            except TimedOut as error:
                error.written = length - len(left)
                raise
            left = left[taken:]
        return length

    def write_some(self, data: Bytes) -> int:
        """Gives it as many of these bytes as there is room for now, and says how many. Never
        waits."""
        chunk = bytes(data)
        taken = lib.console_write(self._handle.number, chunk, len(chunk), 0)
        return 0 if taken == ERR_TIMED_OUT else check(taken)

    def drain(self, timeout: Optional[float] = None) -> None:
        """Waits until the BMC has acknowledged everything that was written."""
        number = self._handle.number
        sliced(lambda ms: int(lib.console_drain(number, ms)), timeout)

    def send_break(self, timeout: Optional[float] = 10.0) -> None:
        """Sends a break behind everything written before it, and waits until the BMC has
        acknowledged it. One that timed out may still be sent."""
        number, wait = self._handle.number, milliseconds(timeout)
        interruptible(lambda: check(lib.console_send_break(number, wait)), timeout)

    #: The same: `break` is a word of Python's.
    break_ = send_break

    def begin_break(self) -> None:
        """Has a break sent behind everything written before it, and does not wait."""
        code = lib.console_send_break(self._handle.number, 0)
        if code != ERR_TIMED_OUT:
            check(code)

    def resize(self, columns: int, rows: int) -> None:
        """Tells a command that its window has another size; SOL has none."""
        check(lib.console_resize(self._handle.number, columns, rows))

    # Callbacks and log file.

    def on_event(
        self, callback: Optional[Callable[[ConsoleEvent], Any]], replay: bool = False
    ) -> None:
        """Has a function called with everything that happens, in the place of the one set before;
        `None` ends that.

        Calls come in order and one at a time, on a thread of the library's. An exception in it is
        logged. It should not be slow: it holds the interpreter's lock like any Python.
        """
        number = self._handle.number
        with self._lock:
            before, self._callback = self._callback, 0
            if callback is None:
                check(lib.console_set_callback(number, 0, CONSOLE_CALLBACK(0), None))
            else:
                self._callback = _register(callback)
                forget = weakref.finalize(self, _callbacks.pop, self._callback, None)
                forget.atexit = False
                user = self._callback
                check(lib.console_set_callback(number, int(replay), _c_on_event, user))
            _callbacks.pop(before, None)

    @property
    def log_error(self) -> Optional[BmcError]:
        """What the disk said last of its log file; `None` when that takes text."""
        return error_of(lib.console_log_error(self._handle.number))

    def reopen_log(self) -> None:
        """Has the log file opened again, for programs that move it away."""
        check(lib.console_reopen_log(self._handle.number))


class _OwnReader(Reader):
    """A console's own reader, which must not keep that console alive."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        del self._console

    @property
    def console(self) -> Console:
        raise Closed("the console has it")


# Functions that are called, by a number that is C's `user`: addresses are never handed out.
_callbacks: Dict[int, Callable[[ConsoleEvent], Any]] = {}
_callback_last = 0
_callback_lock = threading.Lock()
_log = logging.getLogger("bmclink.python")


def _register(callback: Callable[[ConsoleEvent], Any]) -> int:
    global _callback_last
    with _callback_lock:
        _callback_last += 1
        _callbacks[_callback_last] = callback
        return _callback_last


def _on_event(
    kind: int,
    _state: int,
    reason: int,
    number: int,
    data: Optional[int],
    length: int,
    user: Optional[int],
) -> None:
    callback = _callbacks.get(user or 0)
    if callback is None:
        return
    try:
        bytes_ = ctypes.string_at(data, length) if data and length else b""
        event = ConsoleEvent(Event(kind), bytes_, number, 0, time.time(), error_of(reason))
        callback(event)
    except BaseException:
        # Nobody is there to whom it could go.
        _log.exception("a console's callback failed")


_c_on_event = CONSOLE_CALLBACK(_on_event)
