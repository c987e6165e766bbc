"""Consoles, as pyghmi's programs see them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, Optional, Union

from ....bmc import Bmc
from ....console import Console as _Console
from ....enums import Event, Ready, State, TakeOver
from ....errors import BmcError, Closed, TimedOut
from ....events import ConsoleEvent
from ....options import BmcOptions, ConsoleOptions
from ....queue import Source
from ....reader import Reader
from .._pump import Pump
from ..exceptions import IpmiException
from .private.session import Session

__all__ = ["Console"]

# So many events of one console, and the others get a turn.
_BURST = 64


class Console:
    """The serial console of a BMC.

    `iohandler` is called with bytes the host printed, with {'error': text} when the console is not
    or not any more to be had, which is final, and with {'info': text}; or it is a file to write
    bytes to. With `force` the console is taken away from another session; else only from one that
    is gone.

    `connected` says whether it is, `broken` whether an error was told.
    """

    def __init__(
        self,
        bmc: str,
        userid: Union[str, bytes, None],
        password: Union[str, bytes, None],
        iohandler: Any,
        port: int = 623,
        force: bool = False,
        kg: Union[str, bytes, None] = None,
    ) -> None:
        self.port = port
        self.broken = False
        self.out_handler: Callable[[Any], Any] = getattr(iohandler, "write", iohandler)
        self._lock = threading.RLock()
        self._pending: Deque[Union[bytes, None]] = deque()
        take_over = TakeOver.ONCE if force else TakeOver.STALE
        options = BmcOptions(allow_null_user=not userid)
        try:
            self._bmc = Bmc(
                bmc, userid or b"", password or b"", k_g=kg or b"", port=port, options=options
            )
            self._console = _Console(self._bmc, ConsoleOptions(take_over=take_over))
            self._reader = Reader(self._console)
            self._console.begin_connect()
        except BmcError as error:
            raise IpmiException(str(error)) from error
        # What it has is events, not bytes, from now on.
        self._closed = False
        Pump.current().add(self._console, self)
        Pump.current().add(self._reader, self)
        self._read_events()

    @property
    def connected(self) -> bool:
        """Whether it is connected."""
        handle = self._console._handle
        return not handle.is_freed and self._console.state is State.CONNECTED

    @property
    def activated(self) -> bool:
        """The same."""
        return self.connected

    def on_ready(self, source: Source, ready: Ready) -> None:
        """It has something."""
        if isinstance(source, Reader):
            self._read_events()
        self._send_pending()

    def _read_events(self) -> None:
        with self._lock:
            for _ in range(_BURST):
                if self._closed:
                    return
                try:
                    event = self._reader.next(0)
                except (TimedOut, Closed):
                    return
                self._tell(event)

    def _tell(self, event: ConsoleEvent) -> None:
        if event.kind is Event.DATA:
            self.out_handler(event.data)
        elif event.kind is Event.CONNECTED:
            self._send_pending()
        elif event.kind is Event.DISCONNECTED:
            self._break_down(str(event.reason or "the console is lost"))
        elif event.kind is Event.POWERED_OFF:
            self.out_handler({"info": "the host is switched off"})
        elif event.kind is Event.POWERED_ON:
            self.out_handler({"info": "the host is switched on"})

    def _break_down(self, text: str) -> None:
        self.broken = True
        self._end()
        self.out_handler({"error": text})

    def send_data(self, data: Union[bytes, str]) -> None:
        """Sends input to the host, at once or when it is connected. Never waits."""
        if self.broken or self._closed or not data:
            return
        with self._lock:
            self._pending.append(data.encode() if isinstance(data, str) else bytes(data))
        self._send_pending()

    def send_break(self) -> None:
        """Sends a break behind what was sent before."""
        if self.broken or self._closed:
            return
        with self._lock:
            self._pending.append(None)
        self._send_pending()

    def _send_pending(self) -> None:
        with self._lock:
            while self._pending and not self._closed and self.connected:
                item = self._pending[0]
                try:
                    if item is None:
                        self._pending.popleft()
                        self._console.begin_break()
                        continue
                    taken = self._console.write_some(item[:65536])
                except BmcError:
                    # The event that says why comes too.
                    return
                if taken == 0:
                    return
                if taken == len(item):
                    self._pending.popleft()
                else:
                    self._pending[0] = item[taken:]

    def close(self) -> None:
        """Ends the console; the session goes on for commands."""
        with self._lock:
            if not self._closed:
                self._end()

    def _end(self) -> None:
        self._closed = True
        pump = Pump.current()
        pump.remove(self._reader)
        pump.remove(self._console)
        self._reader.close()
        self._console.close()
        self._bmc.close()

    @classmethod
    def wait_for_rsp(cls, timeout: Optional[float] = None) -> int:
        """See `Session.wait_for_rsp`."""
        return Session.wait_for_rsp(timeout)

    def main_loop(self) -> None:
        """Calls the functions of all consoles, as long as there are any."""
        while Session.wait_for_rsp(600):
            pass
