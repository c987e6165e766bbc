"""What a process does: signals, forks, ends, and what is left over."""

from __future__ import annotations

import logging
import threading
from typing import Callable

import pytest

import bmclink
from conftest import PATIENCE, run_program

Simulate = Callable[..., bmclink.Simulator]

HEADER = """
import os, signal, sys, threading, time
import bmclink
simulator = bmclink.Simulator(2, serial="echo")
"""

INTERRUPTED = (
    HEADER
    + """
def interrupt():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

bmc = simulator.bmc(0)
console = bmc.console().connect()
console.next(1), console.next(1)
silent = simulator.bmc(1)
simulator.set_reachable(False, 1)
queue = bmclink.EventQueue()
full = bmclink.ConsoleOptions(input_len=10)
try:
    threading.Thread(target=interrupt, daemon=True).start()
    %s
except KeyboardInterrupt:
    print("interrupted")
"""
)


@pytest.mark.parametrize(
    "call",
    [
        "console.read()",
        "console.read(timeout=50)",
        "console.readline()",
        "console.next()",
        "list(console)",
        "console.wait_state(bmclink.State.CONNECTED)",
        "queue.wait()",
        "silent.connect(None)",
        "silent.raw(6, 1, timeout=None)",
        "silent.power(timeout=None)",
        "silent.console().connect(None)",
        "list(bmclink.Fleet([silent], timeout=None).power())",
        "simulator.set_reachable(False); console.send_break(None)",
        "simulator.set_reachable(False); console.write(b'x'); console.drain(None)",
        "simulator.set_reachable(False); console.write(bytes(1000000))",
    ],
)
def test_ctrl_c_ends_every_wait(call: str) -> None:
    done = run_program(INTERRUPTED % call)
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode == 0 and done.stderr == ""


def test_a_child_has_its_own_engine_and_not_the_parents_objects() -> None:
    done = run_program(
        HEADER
        + """
host, port = simulator.address()
bmc = simulator.bmc()
console = bmc.console().connect()
reader = console.reader()
assert bmclink.Engine.default() is bmc.engine
sys.stdout.flush()
child = os.fork()
if child == 0:
    for call in (bmc.power, console.read, reader.next, lambda: simulator.bmc(1)):
        try:
            call()
        except bmclink.Misuse as error:
            assert "another process" in str(error)
        else:
            raise SystemExit("it worked")
    console.close()
    del console, reader
    again = bmclink.Bmc(host, "admin", "password", port=port)
    assert again.engine is not bmc.engine and again.power()
    print("child")
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
console.write(b"parent\\n")
print(console.readline(10).decode(), end="")
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "child\nparent\n" and done.stderr == ""


def test_children_of_a_pool() -> None:
    done = run_program(
        HEADER
        + """
import multiprocessing
assert simulator.bmc().power()
addresses = list(simulator)

def ask(index):
    host, port = addresses[index]
    try:
        return bmclink.Bmc(host, "admin", "wrong", port=port).power()
    except bmclink.WrongPassword:
        return bmclink.Bmc(host, "admin", "password", port=port).power()

with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(ask, [0, 1]))
"""
    )
    assert done.stdout == "[True, True]\n", done.stderr


@pytest.mark.parametrize("order", ["", "reversed"])
def test_objects_may_be_freed_in_any_order_with_traffic(order: str) -> None:
    done = run_program(
        f"""
import bmclink, threading
simulator = bmclink.Simulator(1, serial="flood")
engine = bmclink.Engine()
bmc = simulator.bmc(engine=engine)
console = bmc.console().connect()
reader = console.reader()
queue = bmclink.EventQueue()
queue.add(reader)
run = bmclink.Fleet([bmc]).power()
threads = [threading.Thread(target=lambda: list(reader)) for _ in range(3)]
for thread in threads:
    thread.start()
objects = [engine, bmc, console, reader, queue, run, simulator]
for each in {order or "list"}(objects):
    each.close()
    each.close()
for thread in threads:
    thread.join()
print("closed")
"""
    )
    assert done.stdout == "closed\n" and done.stderr == "", done.stderr


def test_a_program_may_end_in_the_middle_of_everything() -> None:
    done = run_program(
        HEADER
        + """
import asyncio, logging
from bmclink import aio
logging.basicConfig(level=1, stream=sys.stdout)
logging.getLogger("bmclink").setLevel(logging.CRITICAL)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
bmclink.log_to_logging(bmclink.TRACE)
flood = bmclink.Simulator(1, serial="flood")
console = flood.bmc().console().connect()
console.on_event(lambda event: None)
reader = simulator.bmc().console().connect().reader()
threading.Thread(target=lambda: list(reader), daemon=True).start()
threading.Thread(target=lambda: list(console), daemon=True).start()
run = bmclink.Fleet([simulator.bmc(1)]).power()
loop = asyncio.new_event_loop()
other = aio.Bmc.of(simulator.bmc(1)).console()
loop.run_until_complete(other.connect())
loop.close()
time.sleep(0.2)
print("end")
"""
    )
    assert done.returncode == 0 and done.stdout == "end\n", (done.returncode, done.stderr)
    assert done.stderr == ""


def test_nothing_is_left_when_all_is_closed() -> None:
    done = run_program(
        """
import asyncio, gc, os, time
import bmclink
from bmclink import aio

def left():
    gc.collect()
    # A thread that has handed over its result may have a last step to go.
    until = time.monotonic() + 20
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < until:
        time.sleep(0.01)
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

async def program(simulator):
    async with aio.Bmc.of(simulator.bmc(1)) as bmc, bmc.console() as console:
        await console.connect()
        await console.write(b"x")
        await console.read()

def once():
    with bmclink.Simulator(3, serial="echo") as simulator, bmclink.Engine() as engine:
        with simulator.bmc(engine=engine) as bmc, bmc.console() as console:
            console.connect()
            console.on_event(print)
            console.on_event(None)
            with console.reader() as reader, bmclink.EventQueue() as queue:
                queue.add(reader)
                reader.fileno()
                console.write(b"x")
                while reader.next(10).data != b"x":
                    pass
            bmc.power()
            list(bmclink.Fleet([bmc]).power())
        asyncio.run(program(simulator))
    bmclink.Engine.default().close()
    bmclink.Engine._default = None

once()
first = left()
for _ in range(5):
    once()
second = left()
assert second[0] <= first[0] and second[1] <= first[1], (first, second)
assert second[1] == 1, second
from bmclink import console
assert console._callbacks == {}
print("nothing left")
"""
    )
    assert done.stdout == "nothing left\n", done.stderr


def test_what_is_not_referred_to_any_more_is_freed(simulate: Simulate) -> None:
    simulator = simulate(serial="echo")
    engine = bmclink.Engine()
    for _ in range(3):
        console = simulator.bmc(engine=engine).console().connect(PATIENCE)
        console.on_event(lambda event: None)
        console.write(b"x")
        console.read(timeout=PATIENCE)
        del console
    deadline = threading.Event()
    for _ in range(int(PATIENCE * 100)):
        if engine.stats()["consoles"] == 0 and engine.stats()["bmcs"] == 0:
            break
        deadline.wait(0.01)
    assert engine.stats()["consoles"] == 0 and engine.stats()["bmcs"] == 0
    engine.close()


def test_a_bmc_of_the_simulator_keeps_it() -> None:
    assert bmclink.Simulator().bmc().power()


def test_the_library_logs_to_logging(
    echo: bmclink.Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1, "bmclink")
    bmclink.log_to_logging(logging.DEBUG)
    try:
        echo.bmc().connect(PATIENCE)
        pause = threading.Event()
        for _ in range(int(PATIENCE * 100)):
            if any(record.name == "bmclink.session" for record in caplog.records):
                break
            pause.wait(0.01)
    finally:
        bmclink.log_to_logging(logging.NOTSET)
    records = [record for record in caplog.records if record.name == "bmclink.session"]
    assert records and all(record.levelno >= logging.DEBUG for record in records)
    assert not any("password" in record.getMessage() for record in records)
