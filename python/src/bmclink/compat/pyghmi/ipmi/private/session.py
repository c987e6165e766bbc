"""Sessions, as pyghmi's programs see them."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional, Sequence, Union

from .....bmc import Bmc
from .....enums import Privilege, Ready
from .....errors import BmcError, OutcomeUnknown, TimedOut, Unreachable
from .....fleet import Fleet, FleetRun
from .....options import BmcOptions
from .....queue import Source
from .....results import make_command
from ..._pump import Pump
from ...exceptions import IpmiException, UnsupportedFunctionality
from .constants import text_of

__all__ = ["Session"]

Response = Dict[str, Any]
OnLogon = Callable[[Response], Any]
Bytes = Union[bytes, bytearray, Sequence[int], int]

_LOGON_TIME = 60.0
_COMMAND_TIME = 30.0
# Without a retry: so long, and then nothing is known.
_ONCE_TIME = 1.0


def _bytes(data: Bytes) -> bytes:
    return bytes((data,)) if isinstance(data, int) else bytes(data)


class Session:
    """A session with a BMC. Those with equal arguments share one.

    Without `onlogon` it is logged in when this returns, or `IpmiException` is raised. With it that
    is called, by whoever waits, with {'success': True} or {'error': text}.
    """

    def __init__(
        self,
        bmc: str,
        userid: Union[str, bytes, None],
        password: Union[str, bytes, None],
        port: int = 623,
        kg: Union[str, bytes, None] = None,
        onlogon: Optional[OnLogon] = None,
        privlevel: Optional[int] = None,
        keepalive: bool = True,
    ) -> None:
        self.bmc = bmc
        self.port = port
        self.broken = False
        self.logging = True
        self.ipmiversion = 2.0
        self.errormsg: Optional[str] = None
        options = BmcOptions(
            privilege=Privilege(privlevel or 0), allow_null_user=not userid
        )
        name, word = userid or b"", password or b""
        try:
            self._bmc = Bmc(bmc, name, word, k_g=kg or b"", port=port, options=options)
        except BmcError as error:
            raise IpmiException(str(error)) from error
        if onlogon is None:
            self._log_in()
        else:
            self._onlogon: Optional[OnLogon] = onlogon
            # Any command logs in; this one every BMC has.
            command = make_command("raw", {"net_fn": 6, "cmd": 1})
            fleet = Fleet([self._bmc], timeout=_LOGON_TIME)
            self._run = FleetRun([self._bmc], fleet._handle, command)
            Pump.current().add(self._run, self)

    def _log_in(self) -> None:
        try:
            self._bmc.connect(_LOGON_TIME)
        except BmcError as error:
            self.broken, self.errormsg = True, str(error)
            raise IpmiException(str(error)) from error
        finally:
            self.logging = False

    def on_ready(self, source: Source, ready: Ready) -> None:
        """The login is done."""
        try:
            row = self._run.next(0)
        except TimedOut:
            return
        Pump.current().remove(self._run)
        self._run.close()
        self.logging = False
        response: Response = {"success": True}
        if row is not None and row.error is not None:
            self.broken, self.errormsg = True, str(row.error)
            response = {"error": self.errormsg}
        onlogon, self._onlogon = self._onlogon, None
        if onlogon is not None:
            onlogon(response)

    @property
    def logged(self) -> int:
        """1 when a session is up."""
        return int(not self._bmc._handle.is_freed and self._bmc.is_connected)

    @classmethod
    def wait_for_rsp(cls, timeout: Optional[float] = None, callout: bool = True) -> int:
        """Waits for something to happen to a console or a login, at most `timeout` seconds, and
        calls the functions it is for. Says how many may still have something."""
        return Pump.current().run(timeout)

    @classmethod
    def pause(cls, timeout: float) -> None:
        """Waits for all of this time, and calls functions meanwhile."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            cls.wait_for_rsp(max(0.0, until - time.monotonic()))

    def raw_command(
        self,
        netfn: int,
        command: int,
        bridge_request: Any = None,
        data: Bytes = (),
        retry: bool = True,
        delay_xmit: Optional[float] = None,
        timeout: Optional[float] = None,
        callback: Optional[Callable[[Response], Any]] = None,
        rslun: int = 0,
    ) -> Optional[Response]:
        """Sends any command and gives {'netfn', 'command', 'code', 'data'}, and 'error', a text,
        when the code is not 0. Without `retry`, `None` when no answer comes."""
        if bridge_request:
            raise UnsupportedFunctionality("bridged commands")
        if delay_xmit:
            self.pause(delay_xmit)
        within = timeout or (_COMMAND_TIME if retry else _ONCE_TIME)
        try:
            reply = self._bmc.raw(netfn, command, _bytes(data), lun=rslun, timeout=within)
        except (TimedOut, OutcomeUnknown, Unreachable) as error:
            if not retry:
                return None
            raise IpmiException(str(error)) from error
        except BmcError as error:
            raise IpmiException(str(error), error.completion_code) from error
        code = reply.completion_code
        response: Response = {
            "netfn": netfn | 1,
            "command": command,
            "code": code,
            "data": bytearray(reply.data),
        }
        if code != 0:
            response["error"] = text_of(code)
        if callback is not None:
            callback(response)
        return response

    def logout(self, sessionok: bool = True) -> Response:
        """Ends it; when no console or command has it any more, the session is closed."""
        if not self._bmc._handle.is_freed:
            self._bmc.close()
        self.broken = True
        return {"success": True}
