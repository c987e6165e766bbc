"""Readings, as pyghmi's programs see them."""

from __future__ import annotations

from typing import List, Optional

from ....commands import Sensor
from ..constants import Health

__all__ = ["SensorReading", "health_of"]

_HEALTH = {
    "warning": Health.Warning,
    "critical": Health.Critical,
    "non-recoverable": Health.Failed,
}

# Units as they are abbreviated; percent comes before a unit.
_UNITS = {
    "degrees C": "°C",
    "degrees F": "°F",
    "degrees K": "K",
    "Volts": "V",
    "Amps": "A",
    "Watts": "W",
    "Joules": "J",
    "percent": "% ",
    "second": "s",
    "Hz": "Hz",
}

# Where pyghmi says it in other words than the specification.
_TYPES = {
    "Event Logging Disabled": "Event Log Disabled",
    "Watchdog 1": "Watchdog",
    "Watchdog 2": "Watchdog",
    "Drive Slot": "Drive Bay",
}
_OTHER = "Other Units-based Sensor"


def health_of(severity: Optional[str]) -> int:
    """One of `Health`."""
    return _HEALTH.get(severity or "", Health.Ok)


def type_of(sensor: Sensor) -> str:
    """What a sensor is about."""
    if sensor.type == _OTHER:
        return {"Watts": "Power", "Joules": "Energy"}.get(sensor.unit or "", "Other")
    return _TYPES.get(sensor.type, sensor.type)


class SensorReading:
    """A sensor and its reading.

    `value` and `units` of those that have a number, `states` in words, `health`: a sum of
    `constants.Health`, `unavailable`: 1 without a reading. `imprecision` and `state_ids` are not
    known here.
    """

    def __init__(self, sensor: Sensor) -> None:
        self.name = sensor.name
        self.type = type_of(sensor)
        self.value = sensor.value
        self.units = _UNITS.get(sensor.unit or "", sensor.unit or "")
        self.states: List[str] = list(sensor.states)
        self.state_ids: List[int] = []
        self.imprecision: Optional[float] = None
        self.health = health_of(sensor.severity)
        self.unavailable = int(sensor.status != "valid")

    def __repr__(self) -> str:
        return repr(self.__dict__)

    def simplestring(self) -> str:
        """One line for people."""
        value = "" if self.value is None else f"{self.value}{self.units}"
        return f"{self.name}: " + ", ".join(filter(None, [value, *self.states]))
