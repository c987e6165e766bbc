"""Commands, as pyghmi's programs see them."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar, Union

from ....bmc import Bmc
from ....commands import Fru
from ....errors import BmcError
from ..constants import Health
from ..exceptions import InvalidParameterValue, IpmiException, UnsupportedFunctionality
from ._records import event_of, inventory_of, system_of
from .private.session import Bytes, Response, Session
from .sdr import SensorReading, type_of

__all__ = ["Command", "boot_devices", "power_states"]

# What can be booted from, to and from the number in the boot flags (section 28.13, data 2).
_BOOT_NUMBERS = {"network": 1, "hd": 2, "safe": 3, "optical": 5, "setup": 6, "floppy": 15}
_BOOT_ALIASES = {
    "net": "network",
    "pxe": "network",
    "http": "network",
    "cd": "optical",
    "cdrom": "optical",
    "dvd": "optical",
    "usb": "floppy",
    "bios": "setup",
    "f1": "setup",
}

#: What can be booted from.
boot_devices = sorted((*_BOOT_NUMBERS, *_BOOT_ALIASES, "default"))

# Chassis control (section 28.3).
power_states = {"off": 0, "on": 1, "reset": 3, "diag": 4, "softoff": 5, "shutdown": 5, "boot": -1}

_POWER_WAIT = 300

T = TypeVar("T")


class Command:
    """Commands for one BMC, which share its session.

    Without `onlogon` it is logged in when this returns, or `IpmiException` is raised. With it that
    is called with {'success': True} or {'error': text} and this object, by whoever waits:
    `wait_for_rsp`, `eventloop`.
    """

    def __init__(
        self,
        bmc: Optional[str] = None,
        userid: Union[str, bytes, None] = None,
        password: Union[str, bytes, None] = None,
        port: int = 623,
        onlogon: Optional[Callable[[Response, "Command"], Any]] = None,
        kg: Union[str, bytes, None] = None,
        privlevel: Optional[int] = None,
        verifycallback: Any = None,
        keepalive: bool = True,
        **kwargs: Any,
    ) -> None:
        if bmc is None:
            raise UnsupportedFunctionality("the BMC of this machine, without an address")
        self.bmc = bmc
        self.onlogon = onlogon
        logged = None if onlogon is None else self.logged
        self.ipmi_session = Session(
            bmc, userid, password, port, kg, logged, privlevel, keepalive
        )

    def logged(self, response: Response) -> None:
        """The login is done."""
        onlogon, self.onlogon = self.onlogon, None
        if onlogon is not None:
            onlogon(response, self)

    @classmethod
    def eventloop(cls) -> None:
        """Calls the functions of all, as long as there are any."""
        while Session.wait_for_rsp():
            pass

    @classmethod
    def wait_for_rsp(cls, timeout: Optional[float] = None) -> int:
        """See `Session.wait_for_rsp`."""
        return Session.wait_for_rsp(timeout)

    # Any command.

    def raw_command(
        self,
        netfn: int,
        command: int,
        bridge_request: Any = (),
        data: Bytes = (),
        delay_xmit: Optional[float] = None,
        retry: bool = True,
        timeout: Optional[float] = None,
        rslun: int = 0,
    ) -> Any:
        """See `Session.raw_command`."""
        return self.ipmi_session.raw_command(
            netfn, command, bridge_request, data, retry, delay_xmit, timeout, rslun=rslun
        )

    def xraw_command(
        self,
        netfn: int,
        command: int,
        bridge_request: Any = (),
        data: Bytes = (),
        delay_xmit: Optional[float] = None,
        retry: bool = True,
        timeout: Optional[float] = None,
        rslun: int = 0,
    ) -> Any:
        """The same, with an `IpmiException` for a code other than 0, and data as a memoryview."""
        response = self.raw_command(
            netfn, command, bridge_request, data, delay_xmit, retry, timeout, rslun
        )
        if response is None:
            raise IpmiException("no answer")
        _check(response)
        response["data"] = memoryview(response["data"])
        return response

    # The chassis.

    def get_power(self, bridge_request: Any = None) -> Dict[str, str]:
        """{'powerstate': 'on' or 'off'}."""
        return {"powerstate": self._power_state(bridge_request)}

    def _power_state(self, bridge_request: Any = None) -> str:
        data = self.xraw_command(0, 1, bridge_request)["data"]
        return "on" if data[0] & 1 else "off"

    def set_power(
        self, powerstate: str, wait: Union[bool, int] = False, bridge_request: Any = None
    ) -> Dict[str, str]:
        """Switches the host: 'on', 'off', 'reset', 'diag', 'shutdown' or 'softoff', or 'boot',
        which is 'on' or 'reset'.

        With `wait` not before it is done, in 300 or so many seconds: {'powerstate': ...}. Else, and
        for a reset, {'pendingpowerstate': ...}.
        """
        if powerstate not in power_states:
            raise InvalidParameterValue(f"no power state is called {powerstate!r}")
        before = self._power_state(bridge_request)
        if before == powerstate:
            return {"powerstate": before}
        if powerstate == "boot":
            powerstate = "on" if before == "off" else "reset"
        _check(self.raw_command(0, 2, bridge_request, (power_states[powerstate],)))
        if not wait or powerstate in ("reset", "diag"):
            return {"pendingpowerstate": powerstate}
        wanted = "on" if powerstate == "on" else "off"
        until = time.monotonic() + (_POWER_WAIT if wait is True else wait)
        while self._power_state(bridge_request) != wanted:
            if time.monotonic() >= until:
                raise IpmiException(f"the host is not {wanted} in time")
            Session.pause(min(1.0, max(0.0, until - time.monotonic())))
        return {"powerstate": wanted}

    def get_bootdev(self) -> Dict[str, Any]:
        """What the next boot is from: {'bootdev', 'persistent', 'uefimode'}, or {'bootdev':
        'default', 'persistent': True} when nothing was asked for."""
        data = self.xraw_command(0, 9, data=(5, 0, 0))["data"]
        if len(data) < 4:
            raise IpmiException("the boot flags are cut short")
        flags, number = data[2], data[3] >> 2 & 0x0F
        # Parameter invalid, or flags not valid.
        if data[1] & 0x80 or not flags & 0x80:
            return {"bootdev": "default", "persistent": True}
        names = {number: name for name, number in _BOOT_NUMBERS.items()}
        return {
            "bootdev": names.get(number, number or "default"),
            "persistent": bool(flags & 0x40),
            "uefimode": bool(flags & 0x20),
        }

    def set_bootdev(
        self, bootdev: str, persist: bool = False, uefiboot: bool = False
    ) -> Dict[str, Any]:
        """Sets what the next boot is from, or with `persist` every boot: one of `boot_devices`.
        Gives {'bootdev': bootdev}, or {'error': text} for what is none."""
        if bootdev not in boot_devices:
            return {"error": f"no boot device is called {bootdev!r}"}
        number = _BOOT_NUMBERS.get(_BOOT_ALIASES.get(bootdev, bootdev), 0)
        # The flags are not to be cleared when the host is not switched within a minute.
        _check(self.raw_command(0, 8, data=(3, 0x08)))
        flags = 0x80 | (0x40 if persist else 0) | (0x20 if uefiboot else 0)
        if number == 0:
            flags = 0
        _check(self.raw_command(0, 8, data=(5, flags, number << 2, 0, 0, 0)))
        return {"bootdev": bootdev}

    def set_identify(
        self, on: bool = True, duration: Optional[float] = None, blink: bool = False
    ) -> None:
        """Lets the host's lamp shine, for so many seconds or until it is switched off."""
        if blink:
            raise IpmiException("IPMI knows no blinking")
        data = (0, int(on)) if duration is None else (min(255, max(0, int(duration))),)
        _check(self.raw_command(0, 4, data=data))

    def reset_bmc(self) -> None:
        """Resets the BMC; no answer is fine."""
        response = self.raw_command(6, 2, retry=False)
        if response is not None:
            _check(response)

    # What the BMC has records of.

    def get_sensor_data(self) -> Iterator[SensorReading]:
        """All sensors."""
        for sensor in self._do(self._bmc.sensors):
            # One that cannot be read has no reading, and is no reason to end here.
            yield SensorReading(sensor)

    def get_sensor_descriptions(self) -> Iterator[Dict[str, str]]:
        """{'name', 'type'} of all sensors."""
        for sensor in self._do(self._bmc.sensors):
            yield {"name": sensor.name, "type": type_of(sensor)}

    def get_sensor_reading(self, sensorname: str) -> SensorReading:
        """One sensor by its name."""
        for sensor in self._do(self._bmc.sensors):
            if sensor.name == sensorname:
                if sensor.error is not None:
                    raise IpmiException(str(sensor.error)) from sensor.error
                return SensorReading(sensor)
        raise UnsupportedFunctionality(f"no sensor is called {sensorname!r}")

    def get_health(self) -> Dict[str, Any]:
        """{'health': a sum of `Health`, 'badreadings': the sensors that are not fine}."""
        bad = [reading for reading in self.get_sensor_data() if reading.health != Health.Ok]
        health = Health.Ok
        for reading in bad:
            health |= reading.health
        return {"health": health, "badreadings": bad}

    def get_event_log(self, clear: bool = False) -> Iterator[Dict[str, Any]]:
        """All entries of the system event log. With `clear` they are taken out of it, and what is
        added meanwhile is not lost."""
        bmc = self._bmc
        entries = self._do(bmc.clear_sel if clear else bmc.sel)
        sensors = self._do(bmc.sensors) if entries else []
        for entry in entries:
            yield event_of(entry, sensors)

    def get_inventory(self) -> Iterator[Tuple[str, Dict[str, Any]]]:
        """What the parts are, by name: 'System' first."""
        frus = self._do(self._bmc.frus)
        yield "System", self._system(frus)
        for fru in frus:
            if fru.error is None:
                yield fru.name or f"FRU {fru.fru_id}", inventory_of(fru)

    def _system(self, frus: List[Fru]) -> Dict[str, Any]:
        first = [fru for fru in frus if fru.fru_id == 0 and fru.error is None]
        guid: Optional[bytes] = None
        with contextlib.suppress(IpmiException):
            guid = self._do(self._bmc.system_guid)
        return system_of(first[0] if first else None, self._do(self._bmc.device_id), guid)

    def get_inventory_descriptions(self) -> Iterator[str]:
        """The names of the parts."""
        for name, _ in self.get_inventory():
            yield name

    def get_inventory_of_component(self, component: str) -> Optional[Dict[str, Any]]:
        """One part by its name."""
        return dict(self.get_inventory()).get(component)

    def get_firmware(self, components: Any = (), category: Any = None) -> Iterator[Any]:
        """('BMC Version', {'version': text})."""
        major, minor = self._do(self._bmc.device_id).firmware_revision.split(".")
        yield "BMC Version", {"version": f"{int(major)}.{int(minor)}"}

    @property
    def _bmc(self) -> Bmc:
        return self.ipmi_session._bmc

    @staticmethod
    def _do(call: Callable[[], T]) -> T:
        try:
            return call()
        except BmcError as error:
            raise IpmiException(str(error), error.completion_code) from error


def _check(response: Response) -> None:
    if "error" in response:
        raise IpmiException(response["error"], response["code"])
