"""bmclink: IPMI 2.0 sessions and Serial-over-LAN consoles, for one BMC or ten thousand.

    import bmclink

    with bmclink.Bmc("bmc7", "admin", "secret") as bmc, bmc.console() as console:
        console.connect()
        console.write(b"\\r")
        print(console.read_until(b"login: ", timeout=10).decode())

Everything waits with a timeout in seconds, may be called from any thread, releases the
interpreter's lock meanwhile, and ends with `KeyboardInterrupt` on Ctrl-C. For asyncio see
`bmclink.aio`; for programs written for pyghmi see `bmclink.compat.pyghmi`.

Threads of the library do not survive a fork: in the child, make objects anew; the default engine
is. Those of the parent fail there with `Misuse`.
"""

from __future__ import annotations

from ._native import lib as _lib
from .bmc import Bmc, RawReply
from .commands import (
    BootDevice,
    ChassisStatus,
    DeviceId,
    Fru,
    Health,
    SelEntry,
    SelfTest,
    Sensor,
    User,
)
from .console import Console
from .credentials import Credentials
from .engine import Engine
from .enums import (
    RETRIES,
    TIMINGS,
    AuthType,
    Event,
    IpmiVersion,
    Keep,
    Privilege,
    Ready,
    Stage,
    State,
    TakeOver,
    UserLookup,
)
from .errors import *  # noqa: F403
from .errors import __all__ as _errors
from .events import ConsoleEvent, Why
from .fleet import Fleet, FleetRow, FleetRun
from .logs import TRACE, log_to_logging
from .options import BmcOptions, ConsoleOptions, EngineOptions, ExecOptions
from .queue import EventQueue
from .reader import Reader
from .simulator import Simulator

__all__ = [
    "RETRIES",
    "TIMINGS",
    "TRACE",
    "AuthType",
    "Bmc",
    "BmcOptions",
    "BootDevice",
    "ChassisStatus",
    "Console",
    "ConsoleEvent",
    "ConsoleOptions",
    "Credentials",
    "DeviceId",
    "Engine",
    "EngineOptions",
    "Event",
    "EventQueue",
    "ExecOptions",
    "Fleet",
    "FleetRow",
    "FleetRun",
    "Fru",
    "Health",
    "IpmiVersion",
    "Keep",
    "Privilege",
    "RawReply",
    "Reader",
    "Ready",
    "SelEntry",
    "SelfTest",
    "Sensor",
    "Simulator",
    "Stage",
    "State",
    "TakeOver",
    "User",
    "UserLookup",
    "Why",
    "has_feature",
    "library_version",
    "log_to_logging",
    *_errors,
]

__version__ = "0.1.0"


def library_version() -> str:
    """The version of the C library underneath."""
    return str(_lib.version().decode())


def has_feature(name: str) -> bool:
    """Whether the library was built with a feature: "sim", the simulated BMC."""
    return bool(_lib.has_feature(name.encode()))
