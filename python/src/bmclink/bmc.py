"""One BMC."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Tuple, TypeVar, Union

from . import _handle, commands
from ._handle import Handle, check, interruptible, is_main, milliseconds
from ._native import lib
from .commands import (
    Ask,
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
from .credentials import Credentials, Secret
from .engine import Engine
from .enums import Privilege
from .errors import (
    BmcError,
    CommandFailed,
    Incompatible,
    InternalError,
    Misuse,
    NotConnected,
    error_of,
)
from .options import BmcOptions, ConsoleOptions
from .results import Argument, Rows, make_command, take

if TYPE_CHECKING:
    from .console import Console

__all__ = ["Bmc", "RawReply"]

T = TypeVar("T")

#: What is passed as the data of a command.
Data = Union[bytes, bytearray, memoryview, Iterable[int]]


@dataclasses.dataclass(frozen=True)
class RawReply:
    """What a BMC answered to a command."""

    #: 0 when the command worked.
    completion_code: int
    #: What follows the completion code.
    data: bytes

    def check(self) -> bytes:
        """The data, or `CommandFailed` for a completion code other than 0."""
        if self.completion_code != 0:
            raise CommandFailed(
                f"the BMC refused the command ({self.completion_code:#04x})",
                completion_code=self.completion_code,
            )
        return self.data


class Bmc:
    """One managed BMC: at most one IPMI session, opened when something is first asked of it and
    shared by its commands and its console.

    Making one sends nothing. Two with equal settings in one engine are the same BMC. Its methods
    may be called from any thread; those that wait have a timeout in seconds, `None` for ever, and
    end with `KeyboardInterrupt` on Ctrl-C.
    """

    def __init__(
        self,
        host: str,
        user_name: Optional[Secret] = None,
        password: Optional[Secret] = None,
        *,
        k_g: Secret = b"",
        credentials: Optional[Credentials] = None,
        port: int = 623,
        options: Optional[BmcOptions] = None,
        engine: Optional[Engine] = None,
    ) -> None:
        if credentials is None:
            if user_name is None or password is None:
                raise Misuse("a BMC needs a user name and a password, or credentials")
            credentials = Credentials(user_name, password, k_g)
        elif user_name is not None or password is not None or k_g:
            raise Misuse("either credentials, or user name, password and K_g")
        self._settings = (host, port, credentials, options or BmcOptions())
        self._engine = engine or Engine.default()
        self._keeps: object = None
        self._commands: Dict[str, Handle] = {}
        made = self._settings[3]._make(host, port, credentials)
        self._handle = Handle(
            lambda place: lib.bmc_open(self._engine._handle.number, made.number, place),
            "bmc_free",
        )

    @property
    def host(self) -> str:
        """The name or address it was given."""
        return self._settings[0]

    @property
    def port(self) -> int:
        """Its UDP port."""
        return self._settings[1]

    @property
    def credentials(self) -> Credentials:
        """Who logs in: the shared value, to be updated."""
        return self._settings[2]

    @property
    def options(self) -> BmcOptions:
        """How it is logged in to."""
        return self._settings[3]

    @property
    def engine(self) -> Engine:
        """The engine that runs its session."""
        return self._engine

    def __repr__(self) -> str:
        return f"<Bmc {self.host}:{self.port}>"

    def reconfigure(
        self,
        *,
        host: Optional[str] = None,
        port: Optional[int] = None,
        credentials: Optional[Credentials] = None,
        options: Optional[BmcOptions] = None,
    ) -> None:
        """Changes where the BMC is, who logs in, and how; what is not given stays.

        What touches the session ends it: calls in flight fail with `Reconfigured`, and when there
        was a session the new one is begun at once. Equal settings change nothing. Does not wait.
        """
        settings = (
            self.host if host is None else host,
            self.port if port is None else port,
            credentials or self.credentials,
            options or self.options,
        )
        made = settings[3]._make(*settings[:3])
        check(lib.bmc_reconfigure(self._handle.number, made.number))
        self._settings = settings

    def connect(self, timeout: Optional[float] = 30.0) -> None:
        """Logs in unless a session is up, and waits until that is known to have worked or not.

        The error names the cause: `WrongPassword`, `UserNameRefused`, `WrongKg`,
        `PrivilegeRefused`, `CipherSuiteRefused`, `NoFreeSession`, `Unreachable` and its kinds,
        `Incompatible`, `Misbehaved`; `TimedOut` when the BMC was still answering.
        """
        number, wait = self._handle.number, milliseconds(timeout)
        interruptible(lambda: check(lib.bmc_connect(number, wait)), timeout)

    def raw(
        self,
        net_fn: int,
        cmd: int,
        data: Data = b"",
        *,
        lun: int = 0,
        timeout: Optional[float] = 30.0,
    ) -> RawReply:
        """Sends any command and waits for its response; logs in first when no session is up.

        `net_fn` is even. A completion code other than 0 is no exception: see `RawReply`. A command
        that acts is not repeated: without an answer it fails with `OutcomeUnknown`.
        """
        for value in (net_fn, cmd, lun):
            if not 0 <= value <= 255:
                raise Misuse(f"{value} is no byte")
        row = self.run("raw", timeout, net_fn=net_fn, cmd=cmd, lun=lun, data=bytes(data))[0]
        return RawReply(row["completion_code"], row["data"])

    def run(
        self, command: str, timeout: Optional[float] = 30.0, /, **arguments: Optional[Argument]
    ) -> Rows:
        """Has it carry out a command by its name, and gives what came of that, as rows of named
        values. include/bmclink.h lists the names at bmclink_command_new. `None` leaves an argument
        out.

        A completion code other than 0 is `CommandFailed`. Ended by Ctrl-C, it is cancelled.
        """
        made = self._command(command, arguments)
        if is_main():
            return self._run_on_main(made, timeout)
        place = ctypes.c_void_p()
        wait = milliseconds(timeout)
        check(lib.bmc_run(self._handle.number, made.number, wait, ctypes.byref(place)))
        return take(place)

    def _command(self, name: str, arguments: Dict[str, Optional[Argument]]) -> Handle:
        # One without arguments is kept: those about sensors and parts remember which there are.
        if arguments:
            return make_command(name, arguments)
        kept = self._commands.get(name)
        if kept is None:
            kept = self._commands[name] = make_command(name, {})
        return kept

    def _run_on_main(self, command: Handle, timeout: Optional[float]) -> Rows:
        # As a fleet of one: a wait for that can be made in slices, and be cancelled alone.
        from .fleet import Fleet, FleetRun

        with FleetRun([self], Fleet([self], timeout=timeout)._handle, command) as run:
            row = run.next()
        if row is None:
            raise InternalError("a fleet of one had no row")
        if row.error is not None:
            raise row.error
        return row.rows

    def _ask(self, ask: Ask[T], timeout: Optional[float]) -> T:
        return ask.read(self.run(ask.command, timeout, **ask.arguments))

    # Commands.

    def power(self, timeout: Optional[float] = 30.0) -> bool:
        """Whether the host is on."""
        return self.chassis_status(timeout).power_on

    def set_power(
        self, action: str, wait: float = 0.0, timeout: Optional[float] = 30.0
    ) -> None:
        """Switches the host: "on", "off", "cycle", "reset", "diag" or "soft".

        Waits for the power to be as it is to be for at most `wait` seconds; 0 does not wait. Never
        sent twice when an answer may just be late: `OutcomeUnknown` then.
        """
        whole = None if timeout is None else timeout + wait
        self._ask(commands.set_power(action, wait), whole)

    def chassis_status(self, timeout: Optional[float] = 30.0) -> ChassisStatus:
        """How the host stands: power, faults, buttons."""
        return self._ask(commands.CHASSIS_STATUS, timeout)

    def boot_device(self, timeout: Optional[float] = 30.0) -> BootDevice:
        """What the next boot is from."""
        return self._ask(commands.BOOT_DEVICE, timeout)

    def set_boot_device(
        self,
        device: str,
        persistent: bool = False,
        efi: bool = False,
        timeout: Optional[float] = 30.0,
    ) -> None:
        """Sets what the next boot is from, or every boot: "none", "pxe", "disk", "safe", "diag",
        "cdrom", "bios", "floppy" and others."""
        self._ask(commands.set_boot_device(device, persistent, efi), timeout)

    def identify(
        self,
        on: Optional[bool] = None,
        seconds: Optional[int] = None,
        timeout: Optional[float] = 30.0,
    ) -> None:
        """Lets the host's lamp shine: for 15 or so many seconds, or until it is switched off."""
        self._ask(commands.identify(on, seconds), timeout)

    def set_power_restore_policy(self, policy: str, timeout: Optional[float] = 30.0) -> None:
        """What the host does when power comes back: "off", "previous" or "on"."""
        self.run("set_power_restore_policy", timeout, policy=policy)

    def device_id(self, timeout: Optional[float] = 30.0) -> DeviceId:
        """Who the BMC says it is."""
        return self._ask(commands.DEVICE_ID, timeout)

    def self_test(self, timeout: Optional[float] = 30.0) -> SelfTest:
        """What its self test has found."""
        return self._ask(commands.SELF_TEST, timeout)

    def system_guid(self, timeout: Optional[float] = 30.0) -> bytes:
        """The 16 bytes of the host's GUID, as sent."""
        return self._ask(commands.SYSTEM_GUID, timeout)

    def reset_bmc(self, cold: bool = True, timeout: Optional[float] = 30.0) -> None:
        """Resets the BMC itself: its sessions end."""
        self.run("cold_reset" if cold else "warm_reset", timeout)

    def sensors(self, timeout: Optional[float] = 60.0) -> List[Sensor]:
        """All sensors and their readings. Which there are is read once and remembered."""
        return self._ask(commands.SENSORS, timeout)

    def health(self, timeout: Optional[float] = 60.0) -> Health:
        """The worst of all sensors."""
        return self._ask(commands.HEALTH, timeout)

    def sel(
        self, since: Optional[SelEntry] = None, timeout: Optional[float] = 60.0
    ) -> List[SelEntry]:
        """The system event log, or what was added to it after an entry that was read before."""
        return self._ask(commands.sel(since), timeout)

    def clear_sel(self, timeout: Optional[float] = 120.0) -> List[SelEntry]:
        """Clears the system event log and gives all that was in it: what is added meanwhile is not
        lost."""
        return self._ask(commands.CLEAR_SEL, timeout)

    def frus(self, timeout: Optional[float] = 60.0) -> List[Fru]:
        """What is known of the host's parts. Which there are is read once and remembered."""
        return self._ask(commands.FRUS, timeout)

    def users(self, timeout: Optional[float] = 60.0) -> List[User]:
        """The BMC's users, on the channel of the session."""
        return self._ask(commands.USERS, timeout)

    def cancel(self) -> None:
        """Ends all commands that other threads have under way, but the main one, with
        `Cancelled`. What was sent may be carried out all the same."""
        check(lib.bmc_cancel(self._handle.number))

    def console(self, options: Optional[ConsoleOptions] = None) -> "Console":
        """Opens its serial console. Nothing is sent until it is connected, or at once when
        `options` has it kept."""
        from .console import Console

        return Console(self, options)

    @property
    def is_connected(self) -> bool:
        """Whether a session is up."""
        return bool(check(lib.bmc_is_connected(self._handle.number)))

    @property
    def cipher_suite(self) -> Optional[int]:
        """The cipher suite of the session that is or was up last."""
        return self._last(lib.bmc_cipher_suite(self._handle.number))

    @property
    def privilege(self) -> Optional[Privilege]:
        """The privilege level of the session that is or was up last."""
        level = self._last(lib.bmc_privilege_level(self._handle.number))
        return None if level is None else Privilege(level)

    @staticmethod
    def _last(result: int) -> Optional[int]:
        # There was none, or it had none.
        return None if result in (NotConnected.code, Incompatible.code) else check(result)

    @property
    def logins(self) -> int:
        """How many logins succeeded."""
        return check(lib.bmc_logins(self._handle.number))

    @property
    def address(self) -> Optional[Tuple[str, int]]:
        """The address its name was resolved to, and the port; `None` as long as it is not known."""
        number = self._handle.number
        try:
            return _handle.address(lambda *place: int(lib.bmc_address(number, *place)))
        except NotConnected:
            return None

    @property
    def reason(self) -> Optional[BmcError]:
        """Why the last session or login ended; `None` when none has since the last login."""
        return error_of(lib.bmc_reason(self._handle.number))

    def stats(self) -> Dict[str, int]:
        """What was counted of it, over all its sessions."""
        return _handle.stats(lambda place: lib.bmc_stats(self._handle.number, place))

    def close(self) -> None:
        """Frees the handle; when its last console is freed too, its session is closed in the
        background. Calls under way in other threads go on to their end."""
        self._handle.free()

    def __enter__(self) -> "Bmc":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
