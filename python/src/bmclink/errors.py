"""What can go wrong, one class per cause.

Every exception of this package is a `BmcError`. Its text names the cause and how far things had
come; `BmcError.advice` says what to try. Catch the class that matches how much you care:
`BadCredentials` for any of the three secrets, `Lost` for a console that went away, and so on.
"""

from __future__ import annotations

from typing import ClassVar, Dict, Optional, Type

from ._native import lib
from .enums import Stage

__all__ = [
    "BadCredentials",
    "BmcError",
    "Busy",
    "Cancelled",
    "CipherSuiteRefused",
    "Closed",
    "CommandFailed",
    "ConnectionRefused",
    "Incompatible",
    "InternalError",
    "Lost",
    "Misbehaved",
    "Misuse",
    "NameNotFound",
    "NoFreeSession",
    "NotConnected",
    "OutcomeUnknown",
    "PrivilegeRefused",
    "Reconfigured",
    "ShutDown",
    "SolDisabled",
    "SolInUse",
    "SolRefused",
    "Stolen",
    "SystemFailed",
    "TimedOut",
    "Unreachable",
    "UserNameRefused",
    "WrongKg",
    "WrongPassword",
]


class BmcError(Exception):
    """Something asked of bmclink did not work."""

    #: The code of the C library, one of BMCLINK_ERR_*; 0 where a class stands for several.
    code: ClassVar[int] = 0

    def __init__(
        self,
        text: str = "",
        *,
        advice: str = "",
        stage: Stage = Stage.NONE,
        status: int = 0,
        completion_code: int = 0,
    ) -> None:
        super().__init__(text)
        #: The text again: one line, for people.
        self.text = text
        #: What to try: one line, for people.
        self.advice = advice
        #: How far login, session or console had come.
        self.stage = stage
        #: The RMCP+ status code of a refused login; 0 when the BMC gave none.
        self.status = status
        #: The completion code of a refused command; 0 when the BMC gave none.
        self.completion_code = completion_code

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> "tuple[object, ...]":
        return (_again, (type(self), self.text, self.__dict__))


def _again(kind: "Type[BmcError]", text: str, values: "Dict[str, object]") -> BmcError:
    error = kind(text)
    error.__dict__.update(values)
    return error


class TimedOut(BmcError, TimeoutError):
    """The call's own timeout is over. Nothing else is known to be wrong."""

    code = -1
    #: How many bytes of a write had been taken by then.
    written: int = 0


class Unreachable(BmcError):
    """The BMC does not answer."""

    code = -2


class ConnectionRefused(Unreachable):
    """The BMC does not answer, and its address says that nobody listens there."""

    code = -3


class NameNotFound(Unreachable):
    """The BMC's name has no address."""

    code = -4


class BadCredentials(BmcError):
    """A wrong user name, password or K_g. Do not retry in a loop: BMCs lock accounts."""


class UserNameRefused(BadCredentials):
    """The BMC refused the user name."""

    code = -5


class WrongPassword(BadCredentials):
    """The password is wrong; some BMCs say the same of an unknown user name."""

    code = -6


class WrongKg(BadCredentials):
    """The password is right and K_g is wrong, missing or superfluous."""

    code = -7


class PrivilegeRefused(BmcError):
    """The wanted privilege level was refused, or is too low for what was asked."""

    code = -8


class CipherSuiteRefused(BmcError):
    """No acceptable cipher suite, or the BMC chose one it was not asked for."""

    code = -9


class NoFreeSession(BmcError):
    """No session slot is free at the BMC."""

    code = -10


class Incompatible(BmcError):
    """The BMC lacks what is needed: IPMI v2.0, an authentication type, a console in v1.5."""

    code = -11


class Misbehaved(BmcError):
    """The BMC broke the protocol, or refused with a code that has no error of its own."""

    code = -12


class CommandFailed(BmcError):
    """The BMC answered a command with a completion code other than 0."""

    code = -13


class SolRefused(BmcError):
    """SOL was refused."""

    code = -16


class SolDisabled(SolRefused):
    """SOL is disabled at the BMC, for the channel or for the user."""

    code = -14


class SolInUse(SolRefused):
    """Another session owns SOL."""

    code = -15


class Lost(BmcError):
    """The session or its console was lost: the BMC stopped answering, or gave SOL away."""

    code = -17


class Stolen(Lost):
    """Another session took SOL away."""

    code = -27


class OutcomeUnknown(BmcError):
    """A command that must not be repeated was sent, and no answer came."""

    code = -18


class NotConnected(BmcError):
    """The console, or the BMC, is not connected."""

    code = -19


class Closed(BmcError):
    """What was waited for was closed. For readers: the end of the stream."""

    code = -20


class ShutDown(BmcError):
    """The engine was closed."""

    code = -21


class Busy(BmcError):
    """A limit of the library was reached."""

    code = -22


class Misuse(BmcError, ValueError):
    """The caller's bug: a value out of range, an object that was closed."""

    code = -23


class SystemFailed(BmcError, OSError):
    """The operating system refused something."""

    code = -24


class InternalError(BmcError):
    """A bug of the library: a panic, which was caught."""

    code = -25


class Reconfigured(BmcError):
    """The BMC's configuration was changed while this was under way."""

    code = -26


class Cancelled(BmcError):
    """The call was cancelled by another thread."""

    code = -28


def _classes(kind: "Type[BmcError]") -> "Dict[int, Type[BmcError]]":
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        found.update(_classes(below))
    return found


BY_CODE: "Dict[int, Type[BmcError]]" = _classes(BmcError)


def last_error(code: int) -> BmcError:
    """The last failed call of this thread as an exception; `code` is what it returned."""
    kind = BY_CODE.get(code, BmcError)
    if lib.last_error_code() != code:
        return kind(lib.error_text(code).decode())
    text = lib.last_error().decode(errors="replace")
    if kind is Misuse and text.endswith("was freed, or never was one"):
        # Every handle here was one: another thread has closed the object.
        return Closed("it was closed")
    return kind(
        text,
        advice=lib.last_error_advice().decode(errors="replace"),
        stage=Stage(lib.last_error_stage()),
        status=lib.last_error_status(),
        completion_code=lib.last_error_completion_code(),
    )


def error_of(code: int) -> Optional[BmcError]:
    """What a function that tells a reason has told; `None` for 0."""
    if code == 0:
        return None
    error = last_error(code)
    if isinstance(error, Closed) and code == Misuse.code:
        raise error
    return error
