"""The same in an event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any, Callable, Coroutine

import pytest

import bmclink
from bmclink import Event, State, aio
from conftest import ALL_BYTES, PATIENCE

Simulate = Callable[..., bmclink.Simulator]


def run(program: "Coroutine[Any, Any, None]") -> None:
    async def in_time() -> None:
        await asyncio.wait_for(program, PATIENCE)
        # Nothing of ours is left in the loop.
        gc.collect()
        assert asyncio.get_running_loop() not in aio._Hub._hubs

    asyncio.run(in_time())


async def echoes(bmc: aio.Bmc, text: bytes) -> None:
    async with bmc, bmc.console() as console:
        await console.connect()
        assert console.state is State.CONNECTED
        write = asyncio.ensure_future(console.write(text))
        got = b""
        async for event in console.events():
            got += event.data
            if len(got) >= len(text):
                break
        assert got == text and await write == len(text)
        assert await bmc.power()


def test_two_hundred_consoles_in_one_loop(simulate: Simulate) -> None:
    simulator = simulate(200, serial="echo")
    before = threading.active_count()

    async def program() -> None:
        bmcs = [aio.Bmc.of(simulator.bmc(index)) for index in range(200)]
        tasks = [asyncio.ensure_future(echoes(bmc, ALL_BYTES)) for bmc in bmcs]
        await asyncio.gather(*tasks)

    run(program())
    # A thread that has handed over its result may have a last step to go.
    until = time.monotonic() + PATIENCE
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_reads_lines_and_times(echo: bmclink.Simulator) -> None:
    async def program() -> None:
        async with aio.Bmc.of(echo.bmc()).console() as console:
            await console.connect()
            await console.write(b"one\ntwo\nrest")
            assert await console.readline() == b"one\n"
            assert await console.read_until(b"wo") == b"two"
            with pytest.raises(bmclink.TimedOut):
                await console.read_until(b"never", timeout=0.2)
            assert (await console.read()).startswith(b"\n")
            with pytest.raises(bmclink.TimedOut):
                await console.next(timeout=0.05)
            await console.write(b"x")
            await console.drain()
            await console.send_break()
            with pytest.raises(bmclink.TimedOut):
                await console.wait_state(State.CONNECTED, timeout=0.05)

    run(program())


def test_a_read_that_is_cancelled_loses_nothing(echo: bmclink.Simulator) -> None:
    async def program() -> None:
        async with aio.Bmc.of(echo.bmc()).console() as console:
            await console.connect()
            reader = console.reader(replay=False)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(), 0.05)
            got, text = b"", bytes(range(256)) * 200
            write = asyncio.ensure_future(console.write(text))
            while len(got) < len(text):
                try:
                    got += await asyncio.wait_for(reader.read(100), 0.0005)
                except asyncio.TimeoutError:
                    continue
            assert got == text and await write == len(text)
            reader.close()

    run(program())


def test_errors_are_the_same(simulate: Simulate) -> None:
    simulator = simulate(2, serial="echo")

    async def program() -> None:
        wrong = aio.Bmc.of(simulator.bmc(password="wrong"))
        with pytest.raises(bmclink.WrongPassword):
            await wrong.console().connect()
        with pytest.raises(bmclink.WrongPassword):
            await wrong.connect()
        with pytest.raises(bmclink.WrongPassword):
            await wrong.power()
        simulator.set_reachable(False, 1)
        console = aio.Bmc.of(simulator.bmc(1)).console()
        with pytest.raises(bmclink.TimedOut):
            await console.connect(timeout=0.1)
        await console.close()
        with pytest.raises(bmclink.Closed):
            await console.connect()

    run(program())


def test_closing_ends_those_who_wait(echo: bmclink.Simulator) -> None:
    async def program() -> None:
        console = aio.Bmc.of(echo.bmc()).console()
        await console.connect()

        async def follow(reader: "aio.Console | aio.Reader") -> "list[Event]":
            return [event.kind async for event in reader.events()]

        other = console.reader()
        followers = [asyncio.ensure_future(follow(reader)) for reader in (console, other)]
        await asyncio.sleep(0.05)
        await console.close()
        for kinds in await asyncio.gather(*followers):
            assert kinds[:2] == [Event.CONNECTING, Event.CONNECTED]
        other.close()

    run(program())


def test_a_loss_and_what_follows(simulate: Simulate) -> None:
    simulator = simulate(serial="echo")

    async def program() -> None:
        kept = bmclink.ConsoleOptions(keep=bmclink.Keep.ALWAYS)
        async with aio.Bmc.of(simulator.bmc()).console(kept) as console:
            seen = []
            async for event in console.events():
                seen.append(event.kind)
                if event.kind is Event.CONNECTED and len(seen) < 4:
                    simulator.set_password("admin", "changed")
                    console.sync.bmc.credentials.update("admin", "changed")
                elif event.kind is Event.CONNECTED:
                    break
            assert Event.DISCONNECTED in seen and console.reason is None

    run(program())


def test_commands_and_fleets(simulate: Simulate) -> None:
    simulator = simulate(50)
    simulator.set_reachable(False, 9)

    async def program() -> None:
        sync = [simulator.bmc(index) for index in range(50)]
        bmc = aio.Bmc.of(sync[0])
        assert (await bmc.raw(6, 1)).completion_code == 0
        assert (await bmc.device_id()).ipmi_version == "2.0"
        assert (await bmc.self_test()).result == "passed"
        await bmc.set_power("off", wait=PATIENCE)
        assert not await bmc.power()
        await bmc.connect()
        with pytest.raises(bmclink.Misuse):
            await bmc.run("no such command")
        assert len(await bmc.sensors()) > 10 and (await bmc.health()).state == "ok"
        entries = await bmc.sel()
        cleared = await bmc.clear_sel()
        assert [entry.data for entry in cleared] == [entry.data for entry in entries]
        assert await bmc.sel() == []
        assert (await bmc.frus())[0].product_name == "Simulated Server"
        assert "admin" in {user.name for user in await bmc.users()}
        await bmc.set_boot_device("disk")
        assert (await bmc.boot_device()).device == "disk"
        await bmc.identify(on=True)
        assert (await bmc.chassis_status()).identify == "on"
        rows = [row async for row in aio.Fleet(bmclink.Fleet(sync, timeout=1.0)).power()]
        assert len(rows) == 50 and rows[-1].index == 9 and not rows[-1].ok
        rows_left = aio.Fleet(bmclink.Fleet(sync[9:10], timeout=None)).run("device_id")
        assert rows_left.left == 1
        rows_left.cancel()
        assert isinstance((await rows_left.__anext__()).error, bmclink.Cancelled)
        rows_left.close()

    run(program())


def test_a_command_that_is_cancelled_ends(simulate: Simulate) -> None:
    simulator = simulate()

    async def program() -> None:
        bmc = aio.Bmc.of(simulator.bmc())
        await bmc.connect()
        simulator.set_reachable(False)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(bmc.power(timeout=None), 0.2)
        while bmc.sync.stats()["requests_waiting"] > 0:
            await asyncio.sleep(0.01)

    run(program())


def test_a_flood_leaves_turns_to_others(simulate: Simulate) -> None:
    simulator = simulate(serial="flood")

    async def program() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with aio.Bmc.of(simulator.bmc()).console() as console:
            await console.connect()
            counter = asyncio.ensure_future(count())
            for _ in range(500):
                assert await console.read()
            counter.cancel()
        assert turns >= 30

    run(program())


def test_what_is_dropped_leaves_the_loop(echo: bmclink.Simulator) -> None:
    async def program() -> None:
        console = aio.Bmc.of(echo.bmc()).console()
        await console.connect()
        await console.write(b"x")
        assert await console.read() == b"x"
        assert asyncio.get_running_loop() in aio._Hub._hubs
        del console

    run(program())


def test_the_terminal_of_a_command() -> None:
    async def program() -> None:
        async with aio.exec_console(bmclink.ExecOptions(["cat"])) as console:
            await console.connect()
            await console.write(b"text")
            assert await console.read_until(b"text")

    run(program())
