"""What happens at a console."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Optional

from .enums import Event, State
from .errors import BmcError

__all__ = ["ConsoleEvent", "Why"]


@dataclasses.dataclass(frozen=True)
class ConsoleEvent:
    """Something that happened at a console, at its place among the bytes."""

    #: What.
    kind: Event
    #: The bytes of `Event.DATA`.
    data: bytes = b""
    #: Bytes of a `GAP` (0: unknown), `INPUT_LOST` or `LOST`; how often connected, of `CONNECTED`;
    #: events of `MISSED`.
    number: int = 0
    #: Which connection it belongs to: how often the console was connected by then.
    epoch: int = 0
    #: When, in seconds since 1970 as of `time.time`; of bytes, when the first came.
    time: float = 0.0
    #: Why, of `DISCONNECTED`.
    reason: Optional[BmcError] = None

    @property
    def when(self) -> datetime.datetime:
        """The same as `time`, in UTC."""
        return datetime.datetime.fromtimestamp(self.time, datetime.timezone.utc)

    def __str__(self) -> str:
        if self.kind is Event.DATA:
            return self.data.decode(errors="replace")
        why = f": {self.reason}" if self.reason else ""
        count = f" ({self.number})" if self.number else ""
        return f"[{self.kind}{count}{why}]"


@dataclasses.dataclass(frozen=True)
class Why:
    """How a console stands, all at one moment."""

    state: State
    #: Why it is not connected; `None` when it is, or was never tried to be.
    reason: Optional[BmcError]
    #: For how long it has been in that state, in seconds.
    since: float
    #: In how many seconds it is tried again; `None` when that is not planned.
    next_try: Optional[float]
