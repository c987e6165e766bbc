"""Commands by name, and what they give."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Dict, List, Optional, Union

from ._handle import Handle, check
from ._native import lib, text
from .errors import Misuse

__all__ = ["ChassisStatus", "DeviceId", "Row", "Rows", "SelfTest"]

#: What an argument of a command can be.
Argument = Union[int, str, bytes, bytearray, memoryview]
#: Named values of one thing: a sensor, a log entry, a BMC.
Row = Dict[str, Any]
#: What a command gave.
Rows = List[Row]

_NUMBER, _REAL, _TEXT, _BYTES = 1, 2, 3, 4


def make_command(name: str, arguments: Dict[str, Optional[Argument]]) -> Handle:
    """A command with what it is given; an argument that is `None` is left out."""
    command = Handle(lambda place: lib.command_new(text(name), place), "command_free")
    for key, value in arguments.items():
        word = text(key)
        if value is None:
            continue
        if isinstance(value, int):
            if not -(1 << 63) <= value < 1 << 63:
                raise Misuse(f"{key}: {value} is out of range")
            check(lib.command_set_number(command.number, word, int(value)))
        elif isinstance(value, str):
            check(lib.command_set_text(command.number, word, value.encode()))
        else:
            given = bytes(value)
            check(lib.command_set_bytes(command.number, word, given, len(given)))
    return command


def rows_of(handle: int) -> Rows:
    """Everything in a result."""
    return [_row(handle, row) for row in range(check(lib.result_rows(handle)))]


def _row(handle: int, row: int) -> Row:
    found: Row = {}
    for place in range(check(lib.result_fields(handle, row))):
        name = lib.result_name(handle, row, place)
        found[name.decode()] = _value(handle, row, name)
    return found


def _value(handle: int, row: int, name: bytes) -> Any:
    kind = lib.result_kind(handle, row, name)
    if kind == _NUMBER:
        whole = ctypes.c_int64()
        check(lib.result_number(handle, row, name, ctypes.byref(whole)))
        return whole.value
    if kind == _REAL:
        real = ctypes.c_double()
        check(lib.result_real(handle, row, name, ctypes.byref(real)))
        return real.value
    if kind == _BYTES:
        length = check(lib.result_bytes(handle, row, name, None, 0))
        place = ctypes.create_string_buffer(max(1, length))
        check(lib.result_bytes(handle, row, name, place, length))
        return place.raw[:length]
    # A text; and for a kind of a later version, its text.
    return lib.result_text(handle, row, name).decode(errors="replace")


def take(place: ctypes.c_void_p) -> Rows:
    """The rows of a result that a call has given, which is freed."""
    handle = place.value or 0
    try:
        return rows_of(handle)
    finally:
        lib.result_free(handle)



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


def typed(kind: Any, row: Row) -> Any:
    """A row as one of these; what a later library adds is left out."""
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in row:
            value = row[field.name]
            values[field.name] = bool(value) if field.type == "bool" else value
    return kind(**values)
