"""Commands by name, and what they give."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, List, Optional, Union

from ._handle import Handle, check
from ._native import lib, text
from .errors import Misuse

__all__ = ["Argument", "Row", "Rows"]

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
