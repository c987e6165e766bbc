"""The same for asyncio: what waits is awaited.

    import asyncio
    from bmclink import aio

    async def main():
        async with aio.Bmc("bmc7", "admin", "secret") as bmc, bmc.console() as console:
            await console.connect()
            await console.write(b"\\r")
            async for event in console.events():
                print(event, end="")

    asyncio.run(main())

One descriptor per event loop tells it what is ready, however many consoles there are; a console
costs no thread. An await that is cancelled, as by `asyncio.wait_for`, takes nothing along: what was
not given to the program is given to the next one who asks. A command that is cancelled ends.

Objects belong to the event loop in which they are used first. `sync` of each is the same object
for threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from typing import AsyncIterator, Callable, List, Optional, TypeVar, cast

from . import commands
from .bmc import Bmc as _Bmc
from .bmc import Data, RawReply
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
from .console import Bytes
from .console import Console as _Console
from .credentials import Credentials, Secret
from .engine import Engine
from .enums import Event, State
from .errors import BmcError, Closed, InternalError, NotConnected, TimedOut
from .events import ConsoleEvent
from .fleet import Fleet as _Fleet
from .fleet import FleetRow, FleetRun
from .options import BmcOptions, ConsoleOptions, ExecOptions
from .queue import EventQueue, Source
from .reader import Reader as _Reader
from .results import Argument, Rows

__all__ = ["Bmc", "Console", "Fleet", "Reader", "exec_console"]

T = TypeVar("T")

# So many results that were there at once, and the other tasks get a turn.
_BURST = 16


class _Bell:
    """What wakes those who wait for one source."""

    def __init__(self) -> None:
        self._waiting: List["asyncio.Future[None]"] = []

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, deadline: "_Deadline") -> None:
        """Waits to be woken, or until the time is over."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        left = deadline.left()
        handle = None
        if left is not None:
            handle = asyncio.get_running_loop().call_later(left, _give_up, future)
        try:
            await future
        finally:
            if handle is not None:
                handle.cancel()
            if future in self._waiting:
                self._waiting.remove(future)


def _give_up(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(TimedOut("the call's own timeout is over"))


class _Deadline:
    def __init__(self, timeout: Optional[float]) -> None:
        self._until = None if timeout is None else time.monotonic() + timeout

    def left(self) -> Optional[float]:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until


class _Hub:
    """The event queue of one event loop."""

    _hubs: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub]" = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = EventQueue()
        self._descriptor = self._queue.fileno()
        self._loop = weakref.ref(loop)
        self._sources = 0
        self._watching = False

    @classmethod
    def current(cls) -> "_Hub":
        loop = asyncio.get_running_loop()
        hub = cls._hubs.get(loop)
        if hub is None or hub._queue._handle.is_freed:
            hub = cls._hubs[loop] = cls(loop)
        return hub

    def add(self, source: Source) -> _Bell:
        """From now on the bell rings when the source has something."""
        bell = _Bell()
        self._sources += 1
        try:
            self._queue.add(source, bell)
        except BaseException:
            self.remove(source)
            raise
        loop = self._loop()
        if not self._watching and loop is not None:
            loop.add_reader(self._descriptor, self._on_ready)
            self._watching = True
        return bell

    def remove(self, source: Source) -> None:
        self._queue.remove(source)
        self._sources -= 1
        loop = self._loop()
        if self._sources > 0 or loop is None or asyncio._get_running_loop() is not loop:
            return
        # A loop without sources has nothing of ours: it can end as if we had never been there.
        if self._watching:
            loop.remove_reader(self._descriptor)
            self._watching = False
        self._hubs.pop(loop, None)
        self._queue.close()

    def _on_ready(self) -> None:
        for bell, _ready in self._queue.poll():
            bell.ring()


class _Attachment:
    """A source in the hub of the loop that uses it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hub: Optional[_Hub] = None
        self._bell: Optional[_Bell] = None

    @property
    def bell(self) -> _Bell:
        hub = _Hub.current()
        if self._bell is None or self._hub is not hub:
            self.close()
            self._hub, self._bell = hub, hub.add(self._source)
        return self._bell

    def close(self) -> None:
        if self._hub is not None:
            self._hub.remove(self._source)
        if self._bell is not None:
            self._bell.ring()
        self._hub = self._bell = None

    def __del__(self) -> None:
        # The queue would keep the source for ever.
        self.close()


class _Turns:
    """Lets the other tasks of a loop have theirs."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def waited(self) -> None:
        self._in_a_row = 0

    async def take(self) -> None:
        """Comes before something is taken, so that nothing is lost when it is cancelled."""
        self._in_a_row += 1
        if self._in_a_row > _BURST:
            self._in_a_row = 0
            await asyncio.sleep(0)


class Reader:
    """See `bmclink.Reader`."""

    def __init__(self, sync: _Reader) -> None:
        #: The same, for threads.
        self.sync = sync
        self._attachment = _Attachment(sync)
        self._turns = _Turns()
        # Read, and not asked for yet.
        self._kept = b""

    async def _ready(self, call: Callable[[], T], timeout: Optional[float]) -> T:
        await self._turns.take()
        deadline, bell = _Deadline(timeout), self._attachment.bell
        while True:
            try:
                return call()
            except TimedOut:
                if deadline.is_over():
                    raise
            except Closed:
                self._attachment.close()
                raise
            await bell.wait(deadline)
            self._turns.waited()

    async def read(self, size: int = 65536, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.read`."""
        if size <= 0:
            return b""
        if self._kept:
            taken, self._kept = self._kept[:size], self._kept[size:]
            return taken
        return await self._ready(lambda: self.sync.read(size, 0), timeout)

    async def readline(self, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.readline`."""
        return await self.read_until(b"\n", timeout)

    async def read_until(self, end: bytes, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.read_until`."""
        deadline, seen = _Deadline(timeout), 0
        while True:
            place = self._kept.find(end, max(0, seen - len(end) + 1))
            if place >= 0:
                place += len(end)
                taken, self._kept = self._kept[:place], self._kept[place:]
                return taken
            seen = len(self._kept)
            more = await self._ready(lambda: self.sync.read(65536, 0), deadline.left())
            if not more:
                taken, self._kept = self._kept, b""
                return taken
            self._kept += more

    async def next(self, timeout: Optional[float] = None) -> ConsoleEvent:
        """See `bmclink.Reader.next`."""
        if self._kept:
            taken, self._kept = self._kept, b""
            return ConsoleEvent(Event.DATA, taken, time=time.time())
        return await self._ready(lambda: self.sync.next(0), timeout)

    def events(self, timeout: Optional[float] = None) -> AsyncIterator[ConsoleEvent]:
        """See `bmclink.Reader.events`."""
        return _Events(self, timeout)

    def __aiter__(self) -> AsyncIterator[ConsoleEvent]:
        return self.events()

    @property
    def lost(self) -> int:
        """How many bytes were overwritten before this reader came to them."""
        return self.sync.lost

    def close(self) -> None:
        """Detaches it."""
        self._attachment.close()
        self.sync.close()


class _Events:
    """Everything that happens."""

    def __init__(self, reader: Reader, timeout: Optional[float]) -> None:
        self._reader = reader
        self._timeout = timeout

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> ConsoleEvent:
        try:
            return await self._reader.next(self._timeout)
        except (Closed, TimedOut):
            raise StopAsyncIteration from None


class Console:
    """See `bmclink.Console`. `async with` closes it."""

    def __init__(self, sync: _Console) -> None:
        #: The same, for threads.
        self.sync = sync
        self._attachment = _Attachment(sync)
        self._reader: Optional[Reader] = None
        self._turns = _Turns()

    # Its life.

    async def connect(self, timeout: Optional[float] = 30.0) -> "Console":
        """See `bmclink.Console.connect`. When the time is over, the attempt goes on: `close` ends
        it."""
        deadline, bell = _Deadline(timeout), self._attachment.bell
        self.sync.begin_connect()
        while True:
            state = self.sync.state
            if state is State.CONNECTED:
                return self
            if state is State.UNCONNECTED:
                raise self.sync.reason or NotConnected("not connected")
            if deadline.is_over():
                raise TimedOut("not connected in time")
            await bell.wait(deadline)

    def begin_connect(self) -> None:
        """Begins to connect and does not wait."""
        self.sync.begin_connect()

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.sync.state

    @property
    def reason(self) -> Optional[BmcError]:
        """Why it is not connected."""
        return self.sync.reason

    async def wait_state(self, seen: State, timeout: Optional[float] = None) -> State:
        """Waits until the state is another one than `seen`, and gives it."""
        deadline, bell = _Deadline(timeout), self._attachment.bell
        while True:
            state = self.sync.state
            if state is not seen:
                return state
            if deadline.is_over():
                raise TimedOut(f"still {state}")
            await bell.wait(deadline)

    def reconfigure(self, options: ConsoleOptions) -> None:
        """See `bmclink.Console.reconfigure`."""
        self.sync.reconfigure(options)

    async def close(self, timeout: Optional[float] = 2.0) -> None:
        """See `bmclink.Console.close`. Waits on a thread."""
        try:
            if not self.sync._handle.is_freed:
                await _in_thread(lambda: self.sync.close(timeout))
        finally:
            # Those who wait find it closed.
            self._attachment.close()
            if self._reader is not None:
                self._reader._attachment.close()

    async def __aenter__(self) -> "Console":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Reading.

    def reader(self, replay: bool = True) -> Reader:
        """Attaches another reader."""
        return Reader(self.sync.reader(replay))

    def _own(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self.sync._own())
        return self._reader

    async def read(self, size: int = 65536, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.read`."""
        return await self._own().read(size, timeout)

    async def readline(self, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.readline`."""
        return await self._own().readline(timeout)

    async def read_until(self, end: bytes, timeout: Optional[float] = None) -> bytes:
        """See `bmclink.Reader.read_until`."""
        return await self._own().read_until(end, timeout)

    async def next(self, timeout: Optional[float] = None) -> ConsoleEvent:
        """See `bmclink.Reader.next`."""
        return await self._own().next(timeout)

    def events(self, timeout: Optional[float] = None) -> AsyncIterator[ConsoleEvent]:
        """See `bmclink.Reader.events`."""
        return self._own().events(timeout)

    def __aiter__(self) -> AsyncIterator[ConsoleEvent]:
        return self.events()

    # Writing.

    async def write(self, data: Bytes, timeout: Optional[float] = None) -> int:
        """See `bmclink.Console.write`. Cancelled, it has given a part of the bytes."""
        left, deadline = memoryview(data).cast("B"), _Deadline(timeout)
        length, bell = len(left), self._attachment.bell
        while len(left) > 0:
            await self._turns.take()
            taken = self.sync.write_some(left[:65536])
            left = left[taken:]
            if taken > 0:
                continue
            try:
                if deadline.is_over():
                    raise TimedOut("no room in time")
                await bell.wait(deadline)
            except TimedOut as error:
                error.written = length - len(left)
                raise
        return length

    async def drain(self, timeout: Optional[float] = None) -> None:
        """See `bmclink.Console.drain`. Waits on a thread."""
        await _in_thread(lambda: self.sync.drain(timeout))

    async def send_break(self, timeout: Optional[float] = 10.0) -> None:
        """See `bmclink.Console.send_break`. Waits on a thread."""
        await _in_thread(lambda: self.sync.send_break(timeout))


async def _in_thread(call: Callable[[], T]) -> T:
    """Makes a call that waits on a thread of its own: those of the loop are few, and are waited
    for when the program ends."""
    loop = asyncio.get_running_loop()
    future: "asyncio.Future[T]" = loop.create_future()

    def tell(result: Optional[T], error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def make() -> None:
        result: Optional[T] = None
        error: Optional[BaseException] = None
        try:
            result = call()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # The loop may be closed by now.
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=make, name="bmclink-call", daemon=True).start()
    return await future


def exec_console(
    command: ExecOptions,
    options: Optional[ConsoleOptions] = None,
    engine: Optional[Engine] = None,
) -> Console:
    """See `bmclink.Engine.exec_console`."""
    return Console((engine or Engine.default()).exec_console(command, options))


class _Rows:
    """The rows of a run, as they come."""

    def __init__(self, run: FleetRun) -> None:
        self._run = run
        self._attachment = _Attachment(run)
        self._turns = _Turns()

    def __aiter__(self) -> "_Rows":
        return self

    async def __anext__(self) -> FleetRow:
        await self._turns.take()
        bell = self._attachment.bell
        while True:
            try:
                row = self._run.next(0)
                break
            except TimedOut:
                await bell.wait(_Deadline(None))
                self._turns.waited()
        if row is None:
            self.close()
            raise StopAsyncIteration
        return row

    @property
    def left(self) -> int:
        """How many BMCs have not given their row yet."""
        return self._run.left

    def cancel(self) -> None:
        """Ends what is not done: these rows come at once."""
        self._run.cancel()

    def close(self) -> None:
        """Cancels what is not done, and frees it."""
        self._attachment.close()
        self._run.close()


class Fleet:
    """See `bmclink.Fleet`: `async for row in fleet.run(...)`."""

    def __init__(self, sync: _Fleet) -> None:
        #: The same, for threads.
        self.sync = sync

    def run(self, command: str, /, **arguments: Optional[Argument]) -> _Rows:
        """Has every BMC carry out a command. Not referred to any more, it ends what is not done."""
        return _Rows(self.sync.run(command, **arguments))

    def power(self) -> _Rows:
        """Asks all whether they are on: `power_on` of each row."""
        return _Rows(self.sync.power())


class Bmc:
    """See `bmclink.Bmc`."""

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
        self.sync = _Bmc(
            host,
            user_name,
            password,
            k_g=k_g,
            credentials=credentials,
            port=port,
            options=options,
            engine=engine,
        )

    @classmethod
    def of(cls, sync: _Bmc) -> "Bmc":
        """The same as a `bmclink.Bmc`, for asyncio."""
        bmc = cls.__new__(cls)
        bmc.sync = sync
        return bmc

    def console(self, options: Optional[ConsoleOptions] = None) -> Console:
        """See `bmclink.Bmc.console`."""
        return Console(self.sync.console(options))

    async def connect(self, timeout: Optional[float] = 30.0) -> None:
        """See `bmclink.Bmc.connect`. Waits on a thread."""
        await _in_thread(lambda: self.sync.connect(timeout))

    async def run(
        self, command: str, timeout: Optional[float] = 30.0, /, **arguments: Optional[Argument]
    ) -> Rows:
        """See `bmclink.Bmc.run`. Cancelled, it ends the command."""
        fleet = _Fleet([self.sync], timeout=timeout)
        made = self.sync._command(command, arguments)
        rows = _Rows(FleetRun([self.sync], fleet._handle, made))
        try:
            async for row in rows:
                if row.error is not None:
                    raise row.error
                return row.rows
        finally:
            rows.close()
        raise InternalError("a fleet of one had no row")

    async def raw(
        self,
        net_fn: int,
        cmd: int,
        data: Data = b"",
        *,
        lun: int = 0,
        timeout: Optional[float] = 30.0,
    ) -> RawReply:
        """See `bmclink.Bmc.raw`."""
        sent = bytes(data)
        row = (await self.run("raw", timeout, net_fn=net_fn, cmd=cmd, lun=lun, data=sent))[0]
        return RawReply(row["completion_code"], row["data"])

    async def _ask(self, ask: Ask[T], timeout: Optional[float]) -> T:
        return ask.read(await self.run(ask.command, timeout, **ask.arguments))

    async def power(self, timeout: Optional[float] = 30.0) -> bool:
        """Whether the host is on."""
        return (await self.chassis_status(timeout)).power_on

    async def set_power(
        self, action: str, wait: float = 0.0, timeout: Optional[float] = 30.0
    ) -> None:
        """See `bmclink.Bmc.set_power`."""
        whole = None if timeout is None else timeout + wait
        await self._ask(commands.set_power(action, wait), whole)

    async def chassis_status(self, timeout: Optional[float] = 30.0) -> ChassisStatus:
        """See `bmclink.Bmc.chassis_status`."""
        return await self._ask(commands.CHASSIS_STATUS, timeout)

    async def boot_device(self, timeout: Optional[float] = 30.0) -> BootDevice:
        """See `bmclink.Bmc.boot_device`."""
        return await self._ask(commands.BOOT_DEVICE, timeout)

    async def set_boot_device(
        self,
        device: str,
        persistent: bool = False,
        efi: bool = False,
        timeout: Optional[float] = 30.0,
    ) -> None:
        """See `bmclink.Bmc.set_boot_device`."""
        await self._ask(commands.set_boot_device(device, persistent, efi), timeout)

    async def identify(
        self,
        on: Optional[bool] = None,
        seconds: Optional[int] = None,
        timeout: Optional[float] = 30.0,
    ) -> None:
        """See `bmclink.Bmc.identify`."""
        await self._ask(commands.identify(on, seconds), timeout)

    async def device_id(self, timeout: Optional[float] = 30.0) -> DeviceId:
        """See `bmclink.Bmc.device_id`."""
        return await self._ask(commands.DEVICE_ID, timeout)

    async def self_test(self, timeout: Optional[float] = 30.0) -> SelfTest:
        """See `bmclink.Bmc.self_test`."""
        return await self._ask(commands.SELF_TEST, timeout)

    async def sensors(self, timeout: Optional[float] = 60.0) -> List[Sensor]:
        """See `bmclink.Bmc.sensors`."""
        return await self._ask(commands.SENSORS, timeout)

    async def health(self, timeout: Optional[float] = 60.0) -> Health:
        """See `bmclink.Bmc.health`."""
        return await self._ask(commands.HEALTH, timeout)

    async def sel(
        self, since: Optional[SelEntry] = None, timeout: Optional[float] = 60.0
    ) -> List[SelEntry]:
        """See `bmclink.Bmc.sel`."""
        return await self._ask(commands.sel(since), timeout)

    async def clear_sel(self, timeout: Optional[float] = 120.0) -> List[SelEntry]:
        """See `bmclink.Bmc.clear_sel`."""
        return await self._ask(commands.CLEAR_SEL, timeout)

    async def frus(self, timeout: Optional[float] = 60.0) -> List[Fru]:
        """See `bmclink.Bmc.frus`."""
        return await self._ask(commands.FRUS, timeout)

    async def users(self, timeout: Optional[float] = 60.0) -> List[User]:
        """See `bmclink.Bmc.users`."""
        return await self._ask(commands.USERS, timeout)

    def close(self) -> None:
        """See `bmclink.Bmc.close`."""
        self.sync.close()

    async def __aenter__(self) -> "Bmc":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
