"""Typed commands: for each its name, its arguments and the shape of what it gives."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar

from .errors import BY_CODE, BmcError
from .results import Argument, Row, Rows

__all__ = [
    "BootDevice",
    "ChassisStatus",
    "DeviceId",
    "Fru",
    "Health",
    "SelEntry",
    "SelfTest",
    "Sensor",
    "User",
]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Ask(Generic[T]):
    """A command and how its rows are read."""

    command: str
    arguments: Dict[str, Optional[Argument]]
    read: Callable[[Rows], T]


@dataclasses.dataclass(frozen=True)
class DeviceId:
    """Who the BMC says it is (section 20.1)."""

    device_id: int
    device_revision: int
    provides_device_sdrs: bool
    #: Whether it is updating its firmware, or starting.
    busy: bool
    #: Such as "2.14".
    firmware_revision: str
    #: Such as "2.0".
    ipmi_version: str
    #: A bit for each of what it has besides (table 20-2, byte 7).
    additional_device_support: int
    #: The manufacturer's number as IANA has it.
    manufacturer_id: int
    product_id: int
    #: Four bytes; `None` when it gives none.
    auxiliary_firmware_revision: Optional[bytes] = None


@dataclasses.dataclass(frozen=True)
class ChassisStatus:
    """How the host stands (section 28.2)."""

    power_on: bool
    power_overload: bool
    power_interlock: bool
    power_fault: bool
    power_control_fault: bool
    #: A bit for each of what the last change of power was about (table 28-3, byte 3).
    last_power_event: int
    intrusion: bool
    front_panel_lockout: bool
    drive_fault: bool
    cooling_fault: bool
    #: What it does when power comes back: "off", "previous" or "on".
    restore_policy: Optional[str] = None
    #: "off", "timed" or "on"; `None` when the BMC does not tell.
    identify: Optional[str] = None
    #: A bit for each button (table 28-3, byte 5); `None` when the BMC does not tell.
    front_panel_buttons: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class SelfTest:
    """What the BMC's self test has found (section 20.4)."""

    #: "passed", "not implemented", "corrupted", "hardware error" or "other".
    result: str
    detail: int = 0


@dataclasses.dataclass(frozen=True)
class Sensor:
    """A sensor and its reading."""

    name: str
    number: int
    #: What it is about, such as "temperature".
    type: str
    #: "valid" when it has a reading.
    status: str = ""
    #: The reading of a sensor that has a number.
    value: Optional[float] = None
    unit: Optional[str] = None
    raw: Optional[int] = None
    #: "ok", "warning", "critical" or "non-recoverable"; `None` when there is nothing to judge.
    severity: Optional[str] = None
    #: What holds at the moment.
    states: Tuple[str, ...] = ()
    #: Why there is no reading.
    error: Optional[BmcError] = None


@dataclasses.dataclass(frozen=True)
class Health:
    """The worst of all sensors."""

    #: "ok", "warning", "critical", "non-recoverable" or "unknown".
    state: str
    #: One line for people.
    summary: str
    #: How many sensors had a reading to judge, and how many failed.
    judged: int
    failed: int


@dataclasses.dataclass(frozen=True)
class SelEntry:
    """An entry of the system event log."""

    record_id: int
    record_type: int
    #: As the BMC gave it: see `time`.
    timestamp: int
    #: "ok", "warning", "critical" or "non-recoverable".
    severity: str
    #: What it says.
    text: str
    #: The 16 bytes of the record.
    data: bytes
    #: Seconds since 1970 by the BMC's clock, and by ours; `None` when it has none.
    time: Optional[int] = None
    corrected_time: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Fru:
    """What is known of one part. Texts that it does not have are `None`."""

    fru_id: int
    name: Optional[str] = None
    checksums_ok: bool = True
    chassis_type: Optional[int] = None
    chassis_part_number: Optional[str] = None
    chassis_serial_number: Optional[str] = None
    #: Seconds since 1970.
    board_manufactured: Optional[int] = None
    board_manufacturer: Optional[str] = None
    board_product_name: Optional[str] = None
    board_serial_number: Optional[str] = None
    board_part_number: Optional[str] = None
    product_manufacturer: Optional[str] = None
    product_name: Optional[str] = None
    product_part_number: Optional[str] = None
    product_version: Optional[str] = None
    product_serial_number: Optional[str] = None
    product_asset_tag: Optional[str] = None
    #: All bytes of its inventory.
    data: bytes = b""
    #: Why nothing is known.
    error: Optional[BmcError] = None


@dataclasses.dataclass(frozen=True)
class BootDevice:
    """What the next boot is from."""

    #: Whether anything was asked for.
    valid: bool
    #: "none", "pxe", "disk", "safe", "diag", "cdrom", "bios", "floppy" and others.
    device: str
    device_number: int
    #: For every boot, not only the next.
    persistent: bool
    #: By EFI, not by a BIOS.
    efi: bool


@dataclasses.dataclass(frozen=True)
class User:
    """A user of the BMC on one channel."""

    id: int
    name: str
    #: "callback", "user", "operator", "administrator", "oem" or "no access".
    privilege: str
    #: `None` when the BMC does not tell.
    enabled: Optional[bool] = None
    #: Whether it may log in with IPMI.
    ipmi: bool = False
    callback_only: bool = False
    link_authentication: bool = False


_FLAGS = ("bool", "Optional[bool]")


def typed(kind: Callable[..., T], row: Row) -> T:
    """A row as one of these; what a later library adds is left out."""
    values: Dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name == "error" and "error" in row:
            failed = BY_CODE.get(row["error"], BmcError)
            values["error"] = failed(row.get("error_text", ""))
        elif field.name == "states":
            values["states"] = tuple(filter(None, row.get("states", "").split("; ")))
        elif field.name in row:
            value = row[field.name]
            values[field.name] = bool(value) if field.type in _FLAGS else value
    return kind(**values)


def one(kind: Callable[..., T]) -> Callable[[Rows], T]:
    """The only row."""
    return lambda rows: typed(kind, rows[0])


def each(kind: Callable[..., T]) -> Callable[[Rows], List[T]]:
    """All rows."""
    return lambda rows: [typed(kind, row) for row in rows]


def nothing(_: Rows) -> None:
    """A command that gives nothing."""


def set_power(action: str, wait: float) -> Ask[None]:
    """With or without a wait."""
    wait_ms = max(0, round(wait * 1000))
    return Ask("power", {"action": action, "wait_ms": wait_ms or None}, nothing)


def identify(on: Optional[bool], seconds: Optional[int]) -> Ask[None]:
    """For a while, or until it is switched off."""
    forced = None if on is None else int(on)
    return Ask("identify", {"seconds": seconds, "on": forced}, nothing)


def set_boot_device(device: str, persistent: bool, efi: bool) -> Ask[None]:
    """For the next boot or for all."""
    flags = {"persistent": int(persistent), "efi": int(efi)}
    return Ask("set_boot", {"device": device, **flags}, nothing)


def sel(since: Optional[SelEntry]) -> Ask[List[SelEntry]]:
    """All of it, or what came after an entry."""
    arguments: Dict[str, Optional[Argument]] = {}
    if since is not None:
        arguments = {"since_record": since.record_id, "since_timestamp": since.timestamp}
    return Ask("sel", arguments, each(SelEntry))


CHASSIS_STATUS = Ask("chassis_status", {}, one(ChassisStatus))
DEVICE_ID = Ask("device_id", {}, one(DeviceId))
SELF_TEST = Ask("self_test", {}, one(SelfTest))
SYSTEM_GUID = Ask("system_guid", {}, lambda rows: bytes(rows[0]["guid"]))
SENSORS = Ask("sensors", {}, each(Sensor))
HEALTH = Ask("health", {}, one(Health))
CLEAR_SEL = Ask("clear_sel", {}, each(SelEntry))
FRUS = Ask("fru", {}, each(Fru))
BOOT_DEVICE = Ask("boot", {}, one(BootDevice))
USERS = Ask("users", {}, each(User))
