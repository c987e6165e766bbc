"""Settings, as values. Times are in seconds. What is `None` is left at the library's default."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Union

from ._handle import Handle, check, small_ms
from ._native import lib, text
from .enums import (
    RETRIES,
    TIMINGS,
    AuthType,
    IpmiVersion,
    Keep,
    Privilege,
    TakeOver,
    UserLookup,
)
from .errors import Misuse

if TYPE_CHECKING:
    from .credentials import Credentials

__all__ = ["BmcOptions", "ConsoleOptions", "EngineOptions", "ExecOptions"]


def _number_of(table: Mapping[str, int], name: str) -> int:
    try:
        return table[name]
    except KeyError:
        raise Misuse(f"no time is called {name!r}; there are {', '.join(table)}") from None


def _unsigned(value: int, bits: int) -> int:
    # ctypes would cut it.
    if not 0 <= value < 1 << bits:
        raise Misuse(f"{value} is out of range")
    return value


def _numbers(values: Sequence[int]) -> bytes:
    return bytes(_unsigned(value, 8) for value in values)


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How an engine is made."""

    #: Threads that run sessions, 1 to 64. Default: one per core, at most 4.
    shards: Optional[int] = None
    #: BMCs that share one UDP socket. Default 256.
    bmcs_per_socket: Optional[int] = None
    #: Calls that may wait for one thread of the engine. Default 4096.
    inbox_len: Optional[int] = None
    #: Receive buffer per UDP socket, in bytes. Default 1 MiB.
    receive_buffer_len: Optional[int] = None
    #: Local address of the sockets. Default: the kernel's choice.
    local_address: Optional[str] = None
    #: Threads that resolve names, at most. Default 8.
    resolvers: Optional[int] = None
    #: Threads that run callbacks, at most. Default 64.
    dispatchers_max: Optional[int] = None
    #: Logins that begin per second, 0 for no limit. Default 2000.
    login_rate: Optional[int] = None
    #: Logins under way at once. Default 1024.
    logins_at_once: Optional[int] = None

    def _make(self) -> Handle:
        options = Handle(lib.engine_options_new, "engine_options_free")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                given = text(value) if isinstance(value, str) else _unsigned(value, 32)
                check(getattr(lib, "engine_options_set_" + field.name)(options.number, given))
        return options


@dataclasses.dataclass(frozen=True)
class BmcOptions:
    """How one BMC is logged in to. Values are checked when they are used."""

    #: Cipher suites to try, best first. Default 17, then 3.
    cipher_suites: Optional[Sequence[int]] = None
    #: The privilege level to work at. With another than `HIGHEST` a BMC that grants less is an
    #: error.
    privilege: Privilege = Privilege.HIGHEST
    #: How the BMC looks the user up.
    user_lookup: UserLookup = UserLookup.NAME
    #: Which IPMI version to log in with.
    ipmi_version: IpmiVersion = IpmiVersion.V20
    #: Authentication types of IPMI v1.5, best first. Default MD5, then MD2.
    auth_types: Optional[Sequence[AuthType]] = None
    #: Whether an empty user name may log in.
    allow_null_user: bool = False
    #: Workarounds, by the names of FreeIPMI's, such as "intel20".
    quirks: Tuple[str, ...] = ()
    #: Commands in flight at once, 1 to 8. Default 1.
    request_window: Optional[int] = None
    #: How often a login starts again when the BMC does not answer. Default 5.
    login_attempts: Optional[int] = None
    #: How often a command is sent at most. Default 5.
    request_transmissions: Optional[int] = None
    #: Waiting times by name, such as {"keepalive": 30.0}: see `bmclink.TIMINGS`.
    timing: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def _make(self, host: str, port: int, credentials: Credentials) -> Handle:
        options = Handle(
            lambda place: lib.bmc_options_new(text(host), credentials._handle.number, place),
            "bmc_options_free",
        )

        def put(setter: str, *values: Any) -> None:
            check(getattr(lib, "bmc_options_" + setter)(options.number, *values))

        put("set_port", _unsigned(port, 16))
        put("set_allow_null_user", int(self.allow_null_user))
        put("set_privilege_level", int(self.privilege))
        put("set_user_lookup", int(self.user_lookup))
        put("set_ipmi_version", int(self.ipmi_version))
        for name in ("cipher_suites", "auth_types"):
            chosen = getattr(self, name)
            if chosen is not None:
                put("set_" + name, _numbers(chosen), len(chosen))
        for name in ("request_window", "login_attempts", "request_transmissions"):
            chosen = getattr(self, name)
            if chosen is not None:
                put("set_" + name, _unsigned(chosen, 32))
        for quirk in self.quirks:
            put("add_quirk", text(quirk))
        for name, seconds in self.timing.items():
            put("set_timing_ms", _number_of(TIMINGS, name), small_ms(seconds))
        return options


@dataclasses.dataclass(frozen=True)
class ConsoleOptions:
    """How a console is run. Values are checked when they are used."""

    #: The SOL instance, 1 to 15.
    instance: int = 1
    #: What to do when another session owns SOL.
    take_over: TakeOver = TakeOver.STALE
    #: Whether SOL in clear is accepted from a BMC that refuses to encrypt it.
    allow_clear: bool = False
    #: Whether the console is connected again by itself.
    keep: Keep = Keep.ON_REQUEST
    #: How much longer than its last reader a console with `Keep.WHILE_ATTACHED` stays.
    linger: float = 0.0
    #: Bytes of the past that are kept for readers. Default 64 KiB.
    replay_len: Optional[int] = None
    #: Bytes of input that may wait for the BMC. Default 16 KiB.
    input_len: Optional[int] = None
    #: How long input is collected to fill a packet. Default: not at all.
    accumulate: Optional[float] = None
    #: First, shortest and longest wait for an acknowledge. Default 0.5, 0.05, 1.
    retransmit: Optional[Tuple[float, float, float]] = None
    #: An empty packet is sent after so long without input. Default: never.
    keepalive: Optional[float] = None
    #: Waiting times before a kept console is tried again, such as {"credentials": 300.0}: see
    #: `bmclink.RETRIES`.
    retry: Mapping[str, float] = dataclasses.field(default_factory=dict)
    #: A file that gets everything that happens, with times.
    log_file: Optional[Union[str, "os.PathLike[str]"]] = None
    #: The log file is set aside before it gets longer; 0 for never.
    log_size_max: int = 0
    #: How many that were set aside are kept.
    log_keep: int = 0

    def _make(self) -> Handle:
        options = Handle(lib.console_options_new, "console_options_free")

        def put(setter: str, *values: Any) -> None:
            check(getattr(lib, "console_options_set_" + setter)(options.number, *values))

        put("instance", _unsigned(self.instance, 8))
        put("take_over", int(self.take_over))
        put("allow_clear", int(self.allow_clear))
        put("keep", int(self.keep), small_ms(self.linger))
        if self.replay_len is not None:
            put("replay_len", _unsigned(self.replay_len, 64))
        if self.input_len is not None:
            put("input_len", _unsigned(self.input_len, 64))
        if self.accumulate is not None:
            put("accumulate_ms", small_ms(self.accumulate))
        if self.retransmit is not None:
            put("retransmit_ms", *(small_ms(seconds) for seconds in self.retransmit))
        if self.keepalive is not None:
            put("keepalive_ms", small_ms(self.keepalive))
        for name, seconds in self.retry.items():
            put("retry_ms", _number_of(RETRIES, name), small_ms(seconds))
        if self.log_file is not None:
            path = text(os.fspath(self.log_file))
            put("log_file", path, _unsigned(self.log_size_max, 64), _unsigned(self.log_keep, 32))
        return options


@dataclasses.dataclass(frozen=True)
class ExecOptions:
    """A command whose terminal is a console."""

    #: The command and its arguments. Everybody on the machine can see them: no secrets.
    command: Sequence[str]
    #: Variables added to its environment.
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Where it runs. Default: where this process does.
    directory: Optional[Union[str, "os.PathLike[str]"]] = None
    #: It counts as connected when it has printed this. Default: when it runs.
    signature: bytes = b""
    #: And as failed when it has not within so long.
    signature_within: float = 30.0
    #: Columns and rows of its window.
    window: Tuple[int, int] = (80, 24)
    #: Whether its terminal has echo, lines and signals by keys.
    cooked: bool = False
    #: Credentials that are passed to it, in one or more of these ways.
    credentials: Optional[Credentials] = None
    #: A variable of its environment that gets the user name.
    user_name_variable: Optional[str] = None
    #: A variable of its environment that gets the password.
    password_variable: Optional[str] = None
    #: Its descriptor, 3 to 255, that gives the password and a newline.
    password_fd: int = -1

    def _make(self) -> Handle:
        if isinstance(self.command, (str, bytes)) or not self.command:
            raise Misuse("a command is a sequence: the program, then its arguments")
        program, *arguments = self.command
        options = Handle(
            lambda place: lib.exec_options_new(text(program), place), "exec_options_free"
        )

        def put(setter: str, *values: Any) -> None:
            check(getattr(lib, "exec_options_" + setter)(options.number, *values))

        for argument in arguments:
            put("add_argument", text(argument))
        for name, value in self.environment.items():
            put("add_variable", text(name), text(value))
        if self.directory is not None:
            put("set_directory", text(os.fspath(self.directory)))
        if self.signature:
            within = small_ms(self.signature_within)
            put("set_signature", self.signature, len(self.signature), within)
        put("set_window", *(_unsigned(size, 16) for size in self.window))
        put("set_cooked", int(self.cooked))
        if self.credentials is not None:
            put(
                "set_credentials",
                self.credentials._handle.number,
                None if self.user_name_variable is None else text(self.user_name_variable),
                None if self.password_variable is None else text(self.password_variable),
                self.password_fd,
            )
        return options
