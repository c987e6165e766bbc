"""Numbers with names. Values are those of the C library; privilege levels are IPMI's."""

from __future__ import annotations

import enum
from typing import Any

__all__ = [
    "AuthType",
    "Event",
    "IpmiVersion",
    "Keep",
    "Privilege",
    "Ready",
    "Stage",
    "State",
    "TakeOver",
    "UserLookup",
]


class _Number(enum.IntEnum):
    """A number of the library's, of which a later version may have more."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"NUMBER_{value}"
        member._value_ = value
        return member

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class Stage(_Number):
    """How far login, session or console had come when something failed."""

    NONE = 0
    CAPABILITIES = 1
    OPEN_SESSION = 2
    RAKP2 = 3
    RAKP4 = 4
    CHALLENGE = 5
    ACTIVATE_SESSION = 6
    PRIVILEGE = 7
    ACTIVATE_SOL = 8
    ACTIVE = 9
    SOL = 10


class State(_Number):
    """Where a console is in its life."""

    UNCONNECTED = 0
    CONNECTING = 1
    CONNECTED = 2


class Privilege(_Number):
    """Privilege levels. `HIGHEST` is administrator, or what the BMC grants below it."""

    HIGHEST = 0
    CALLBACK = 1
    USER = 2
    OPERATOR = 3
    ADMINISTRATOR = 4
    OEM = 5


class IpmiVersion(_Number):
    """Which IPMI version to log in with."""

    V20 = 0
    V20_OR_V15 = 1
    V15 = 2


class UserLookup(_Number):
    """How the BMC looks the user up."""

    NAME = 0
    NAME_AND_PRIVILEGE = 1


class AuthType(_Number):
    """Authentication types of IPMI v1.5."""

    NONE = 0
    MD2 = 1
    MD5 = 2
    PASSWORD = 4
    OEM = 5


class TakeOver(_Number):
    """What to do when another session owns SOL.

    `NEVER`: fail. `STALE`, the default: take it when its session is gone. `ONCE`: take it now;
    when it is taken back, leave it. `ALWAYS`: take it whenever it is in the way.
    """

    NEVER = 0
    STALE = 1
    ONCE = 2
    ALWAYS = 3


class Keep(_Number):
    """Whether a console is connected again by itself.

    `ON_REQUEST`, the default: no. `WHILE_ATTACHED`: while somebody reads. `ALWAYS`: from the
    moment it is opened.
    """

    ON_REQUEST = 0
    WHILE_ATTACHED = 1
    ALWAYS = 2


class Event(_Number):
    """What happened at a console: `ConsoleEvent.kind`."""

    DATA = 1
    CONNECTING = 2
    CONNECTED = 3
    DISCONNECTED = 4
    GAP = 5
    BREAK = 6
    OVERRUN = 7
    STOLEN = 8
    POWERED_OFF = 9
    POWERED_ON = 10
    REACTIVATED = 11
    INPUT_LOST = 12
    LOST = 13
    MISSED = 14


class Ready(enum.IntFlag):
    """What a console or reader has, as an `EventQueue` reports it."""

    READABLE = 1
    STATE = 2
    WRITABLE = 4


# The rest are keys of options and counters: names of dictionaries.
TIMINGS = {
    "handshake_first": 1,
    "handshake_max": 2,
    "attempt_pause": 3,
    "request_first": 4,
    "request_max": 5,
    "keepalive": 6,
    "keepalive_jitter": 7,
    "keepalive_retry": 8,
    "lost_after": 9,
    "lost_after_hint": 10,
    "close": 11,
}

RETRIES = {"first": 1, "max": 2, "credentials": 3, "refused": 4, "stolen": 5, "stable": 6}

COUNTERS = {
    "epoch": 1,
    "received": 2,
    "written": 3,
    "pending": 4,
    "input_lost": 5,
    "gaps": 6,
    "overruns": 7,
    "breaks": 8,
    "reactivations": 9,
    "unavailable": 10,
    "characters_max": 11,
    "other_port": 12,
    "last_data_ms": 13,
    "log_written": 14,
    "log_lost": 15,
}
