"""Completion codes in words (IPMI v2.0, table 5-2)."""

from __future__ import annotations

_GENERIC = {
    0xC0: "the BMC is busy",
    0xC1: "the BMC does not know the command",
    0xC2: "the BMC does not know the command at this LUN",
    0xC3: "the BMC timed out",
    0xC4: "the BMC is out of space",
    0xC5: "the reservation was cancelled, or never was one",
    0xC6: "the request was cut short",
    0xC7: "the request has a wrong length",
    0xC8: "the request is longer than the BMC takes",
    0xC9: "a parameter is out of range",
    0xCA: "the BMC cannot return that many bytes",
    0xCB: "there is no such sensor, record or data",
    0xCC: "the request has an invalid field",
    0xCD: "the command does not fit that sensor or record",
    0xCE: "the BMC cannot answer",
    0xCF: "the request was a duplicate",
    0xD0: "the sensor data records are being updated",
    0xD1: "the firmware is being updated",
    0xD2: "the BMC is starting",
    0xD3: "the destination is not there",
    0xD4: "the privilege level is too low",
    0xD5: "not in the present state of the BMC",
    0xD6: "that function is disabled",
    0xFF: "the BMC refused, without a reason",
}


def text_of(code: int) -> str:
    """A completion code other than 0 in words."""
    words = _GENERIC.get(code, "the BMC refused the command")
    return f"{words} ({code:#04x})"
