"""Many BMCs that are asked the same."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Iterable, Iterator, List, Optional, Sequence

from ._handle import Handle, check, milliseconds, sliced
from ._native import lib
from .bmc import Bmc
from .errors import BmcError, last_error
from .results import Argument, Row, Rows, make_command, take

__all__ = ["Fleet", "FleetRow", "FleetRun"]


@dataclasses.dataclass(frozen=True)
class FleetRow:
    """What came of one BMC of a fleet."""

    #: Its place in the fleet, from 0.
    index: int
    bmc: Bmc
    #: What the command gave; empty when it gives nothing, or failed.
    rows: Rows
    #: Why it failed; `None` when it did not.
    error: Optional[BmcError]

    @property
    def ok(self) -> bool:
        """Whether it worked."""
        return self.error is None

    @property
    def row(self) -> Row:
        """The only row, or the first; the error is raised when there is one."""
        if self.error is not None:
            raise self.error
        return self.rows[0] if self.rows else {}


class FleetRun:
    """What comes of a fleet being asked something: an iterator of `FleetRow`, as they are done.

    Freed, or not referred to any more, what is not done is cancelled.
    """

    def __init__(self, bmcs: Sequence[Bmc], fleet: Handle, command: Handle) -> None:
        self._bmcs = bmcs
        self._handle = Handle(
            lambda place: lib.fleet_run(fleet.number, command.number, place), "run_free"
        )

    def next(self, timeout: Optional[float] = None) -> Optional[FleetRow]:
        """The next one that is done; `None` when every BMC has had its row. Fails with
        `TimedOut`."""
        index, code, result = ctypes.c_uint64(), ctypes.c_int32(), ctypes.c_void_p()
        number = self._handle.number
        places = (ctypes.byref(index), ctypes.byref(code), ctypes.byref(result))
        if sliced(lambda ms: int(lib.run_next(number, ms, *places)), timeout) == 0:
            return None
        bmc = self._bmcs[index.value]
        if code.value < 0:
            return FleetRow(index.value, bmc, [], last_error(code.value))
        return FleetRow(index.value, bmc, take(result), None)

    def __iter__(self) -> Iterator[FleetRow]:
        return self

    def __next__(self) -> FleetRow:
        row = self.next()
        if row is None:
            raise StopIteration
        return row

    @property
    def left(self) -> int:
        """How many BMCs have not given their row yet."""
        return check(lib.run_left(self._handle.number))

    def cancel(self) -> None:
        """Ends what is not done: these rows come at once, with `Cancelled`."""
        check(lib.run_cancel(self._handle.number))

    def fileno(self) -> int:
        """A descriptor that is readable while `next` would not block."""
        return check(lib.run_fd(self._handle.number))

    def close(self) -> None:
        """Cancels what is not done, and frees it."""
        self._handle.free()

    def __enter__(self) -> "FleetRun":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Fleet:
    """Many BMCs of which the same is asked, each with a result or an error of its own.

        for row in Fleet(bmcs).run("chassis_status"):
            print(row.bmc.host, row.error or row.row["power_on"])

    `at_once` of them are asked at once. Each has `timeout` seconds from when its turn comes, all
    together have `deadline`; `None` is for ever. One thread runs all of them.
    """

    def __init__(
        self,
        bmcs: Iterable[Bmc],
        *,
        at_once: int = 1024,
        timeout: Optional[float] = 30.0,
        deadline: Optional[float] = None,
    ) -> None:
        self._bmcs: List[Bmc] = list(bmcs)
        self._handle = Handle(lib.fleet_new, "fleet_free")
        number = self._handle.number
        check(lib.fleet_set_at_once(number, max(0, at_once)))
        check(lib.fleet_set_timeout_ms(number, milliseconds(timeout)))
        check(lib.fleet_set_deadline_ms(number, milliseconds(deadline)))
        for bmc in self._bmcs:
            check(lib.fleet_add(number, bmc._handle.number))

    @property
    def bmcs(self) -> Sequence[Bmc]:
        """The BMCs, each at its index."""
        return tuple(self._bmcs)

    def __len__(self) -> int:
        return len(self._bmcs)

    def run(self, command: str, /, **arguments: Optional[Argument]) -> FleetRun:
        """Has every BMC carry out a command, by its name: see `Bmc.run`. Does not wait."""
        return FleetRun(self._bmcs, self._handle, make_command(command, arguments))

    def power(self) -> FleetRun:
        """Asks all whether they are on: `power_on` of each row."""
        return self.run("chassis_status")

    def set_power(self, action: str, wait: float = 0.0) -> FleetRun:
        """Switches all: see `Bmc.set_power`."""
        return self.run("power", action=action, wait_ms=milliseconds(wait) or None)
