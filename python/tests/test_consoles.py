"""Consoles, read and written by threads."""

from __future__ import annotations

import dataclasses
import pathlib
import select
import threading
import time
from typing import Callable, List

import pytest

import bmclink
from bmclink import ConsoleOptions, Event, Keep, Ready, State
from conftest import ALL_BYTES, PATIENCE

Simulate = Callable[..., bmclink.Simulator]


def read_all(reader: "bmclink.Reader | bmclink.Console", length: int) -> bytes:
    text = b""
    while len(text) < length:
        text += reader.read(timeout=PATIENCE)
    return text


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_all_bytes_go_through_both_ways(console: bmclink.Console) -> None:
    assert console.write(ALL_BYTES, PATIENCE) == len(ALL_BYTES)
    assert read_all(console, len(ALL_BYTES)) == ALL_BYTES
    console.drain(PATIENCE)
    assert console.counters()["pending"] == 0
    assert console.counters()["received"] == len(ALL_BYTES)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_whatever_holds_bytes_can_be_written(console: bmclink.Console, kind: type) -> None:
    assert console.write(kind(b"text")) == 4
    assert read_all(console, 4) == b"text"


def test_lines_and_what_is_left_of_them(console: bmclink.Console) -> None:
    console.write(b"one\ntwo\nthree")
    assert console.readline(PATIENCE) == b"one\n"
    assert console.readline(PATIENCE) == b"two\n"
    with pytest.raises(bmclink.TimedOut):
        console.readline(0.2)
    assert console.read(2) == b"th"
    console.write(b"-end-")
    assert console.read_until(b"-en", PATIENCE) == b"ree-en"
    console.write(b"x")
    console.drain(PATIENCE)
    assert console.next(PATIENCE).data.startswith(b"d-")


def test_a_read_of_nothing_and_a_time_that_is_over(console: bmclink.Console) -> None:
    assert console.read(0) == b""
    with pytest.raises(TimeoutError) as caught:
        console.read(timeout=0)
    assert isinstance(caught.value, bmclink.TimedOut)
    with pytest.raises(bmclink.Misuse):
        console.read(timeout=float("nan"))


def test_every_reader_sees_every_byte(console: bmclink.Console) -> None:
    seen: List[bytes] = []
    readers = [console.reader() for _ in range(8)]
    threads = [
        threading.Thread(target=lambda reader=reader: seen.append(read_all(reader, len(ALL_BYTES))))
        for reader in readers
    ]
    for thread in threads:
        thread.start()
    console.write(ALL_BYTES, PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert seen == [ALL_BYTES] * 8


def test_threads_that_share_a_reader_get_each_byte_once(console: bmclink.Console) -> None:
    parts: List[bytes] = []

    def take() -> None:
        while sum(map(len, parts)) < len(ALL_BYTES):
            try:
                parts.append(console.read(100, timeout=0.2))
            except bmclink.TimedOut:
                continue

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    console.write(ALL_BYTES, PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    # Which of two threads notes its part first is open: the bytes are what counts.
    assert sorted(b"".join(parts)) == sorted(ALL_BYTES)


def test_a_live_reader_does_not_get_the_past(console: bmclink.Console) -> None:
    console.write(b"past")
    assert read_all(console, 4) == b"past"
    with console.reader(replay=False) as live, console.reader() as replay:
        console.write(b"present")
        assert read_all(live, 7) == b"present"
        assert read_all(replay, 11) == b"pastpresent"
        assert live.console is console and live.lost == 0


def test_closing_ends_a_read_in_another_thread(echo: bmclink.Simulator) -> None:
    console = echo.bmc().console().connect(PATIENCE)
    console.write(b"the end")
    got: List[bytes] = []

    def follow() -> None:
        while text := console.read():
            got.append(text)

    thread = threading.Thread(target=follow)
    thread.start()
    wait_for(lambda: console.counters()["received"] == 7)
    console.close()
    thread.join(PATIENCE)
    assert not thread.is_alive() and b"".join(got) == b"the end"
    console.close()
    with pytest.raises(bmclink.Closed):
        console.write(b"x")
    with pytest.raises(bmclink.Closed):
        assert console.state


def test_a_loss_is_an_error_to_reads_and_an_event_to_others(simulate: Simulate) -> None:
    simulator = simulate(serial="echo")
    console = simulator.bmc().console().connect(PATIENCE)
    console.write(b"before")
    wait_for(lambda: console.counters()["received"] == 6)
    with console.reader() as reader:
        simulator.steal_sol()
        events = []
        for event in reader.events(PATIENCE):
            events.append(event)
            if event.kind is Event.DISCONNECTED:
                break
        assert b"".join(event.data for event in events) == b"before"
        kinds = [event.kind for event in events]
        assert kinds[:2] == [Event.CONNECTING, Event.CONNECTED]
        assert Event.STOLEN in kinds
        assert isinstance(events[-1].reason, bmclink.Stolen)
        assert all(abs(event.time - time.time()) < PATIENCE for event in events)
        assert events[-1].when.tzinfo is not None and events[-1].epoch == 1
    assert read_all(console, 6) == b"before"
    with pytest.raises(bmclink.Stolen) as caught:
        console.read(timeout=PATIENCE)
    assert isinstance(caught.value, bmclink.Lost)
    with pytest.raises(bmclink.Lost):
        console.write(b"x")
    why = console.why()
    assert why.state is State.UNCONNECTED and isinstance(why.reason, bmclink.Stolen)
    assert why.next_try is None and why.since >= 0
    assert isinstance(console.reason, bmclink.Stolen)
    console.close()


def test_a_kept_console_heals_when_it_is_reconfigured(simulate: Simulate) -> None:
    simulator = simulate(2, serial="echo")
    good, bad = simulator.address(0), simulator.address(1)
    simulator.set_reachable(False, 1)
    # So that the reset below is noticed soon.
    timing = {"keepalive": 0.2, "keepalive_jitter": 0.0, "lost_after": 1.0, "lost_after_hint": 1.0}
    options = bmclink.BmcOptions(timing=timing)
    bmc = bmclink.Bmc(bad[0], "admin", "wrong", port=bad[1], options=options)
    with bmc, bmc.console(ConsoleOptions(keep=Keep.ALWAYS)) as console:
        assert console.wait_state(State.UNCONNECTED, PATIENCE) is State.CONNECTING
        bmc.reconfigure(host=good[0])
        wait_for(lambda: isinstance(console.reason, bmclink.WrongPassword))
        why = console.why()
        assert isinstance(why.reason, bmclink.WrongPassword) and why.next_try is not None
        bmc.credentials.update("admin", "password")
        wait_for(lambda: console.state is State.CONNECTED)
        console.write(b"healed")
        assert console.read_until(b"healed", PATIENCE)
        assert (bmc.host, bmc.port) == good
        # And by itself.
        simulator.reset(0)
        events = console.reader(replay=False).events(PATIENCE)
        assert any(event.kind is Event.CONNECTED for event in events)
        assert bmc.logins >= 2


def test_reconfiguring_the_console_opens_it_again(console: bmclink.Console) -> None:
    assert console.counters()["epoch"] == 1
    console.reconfigure(console.options)
    assert console.counters()["epoch"] == 1
    console.reconfigure(dataclasses.replace(console.options, take_over=bmclink.TakeOver.ALWAYS))
    wait_for(lambda: console.counters()["epoch"] == 2)
    assert console.options.take_over is bmclink.TakeOver.ALWAYS


def test_a_write_that_finds_no_room_says_how_much_was_taken(simulate: Simulate) -> None:
    simulator = simulate(serial="echo")
    console = simulator.bmc().console(ConsoleOptions(input_len=1000)).connect(PATIENCE)
    simulator.set_reachable(False)
    with pytest.raises(bmclink.TimedOut) as caught:
        console.write(bytes(5000), timeout=0.3)
    assert 1000 <= caught.value.written < 5000
    assert console.write_some(b"more") == 0


def test_a_console_can_be_polled(console: bmclink.Console) -> None:
    while console.next(PATIENCE).kind is not Event.CONNECTED:
        pass
    poll = select.poll()
    poll.register(console, select.POLLIN)
    assert poll.poll(0) == []
    console.write(b"ready")
    assert poll.poll(PATIENCE * 1000)
    assert console.next(0).kind is Event.DATA


def test_a_queue_tells_which_of_many_have_something(simulate: Simulate) -> None:
    simulator = simulate(50, serial="echo")
    consoles = [simulator.bmc(index).console() for index in range(50)]
    texts = [b""] * 50
    greeted: List[bmclink.Console] = []
    with bmclink.EventQueue() as queue:
        for index, console in enumerate(consoles):
            queue.add(console.reader(), index)
            queue.add(console)
            with pytest.raises(bmclink.Misuse):
                queue.add(console)
            console.begin_connect()
        readers = {key: entry for entry, key in queue._keys.values() if isinstance(key, int)}
        while any(len(text) < 5 for text in texts):
            for key, ready in queue.wait(PATIENCE):
                if isinstance(key, bmclink.Console):
                    # Two changes may be told after both have happened.
                    connected = ready & Ready.STATE and key.state is State.CONNECTED
                    if connected and key not in greeted:
                        greeted.append(key)
                        key.write(b"hello")
                elif ready & Ready.READABLE:
                    texts[key] += readers[key].read(timeout=0)
        assert texts == [b"hello"] * 50
        for console in consoles:
            queue.remove(console)
            queue.remove(console)
        consoles[0].write(b"again")
        assert queue.wait(PATIENCE)[0][0] == 0
        assert select.select([queue], [], [], 0)[0] == [] or queue.poll() != []
    for console in consoles:
        console.close()


def test_a_callback_is_told_in_order_and_may_fail(
    echo: bmclink.Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    console = echo.bmc().console()
    told: List[bmclink.ConsoleEvent] = []
    seen = threading.Event()

    def on_event(event: bmclink.ConsoleEvent) -> None:
        told.append(event)
        if event.data.endswith(b"!"):
            seen.set()
        if event.kind is Event.CONNECTED:
            raise RuntimeError("an exception of the program's")

    console.on_event(on_event)
    console.connect(PATIENCE)
    console.write(b"told!")
    assert seen.wait(PATIENCE)
    console.on_event(None)
    console.write(b"untold")
    assert console.read_until(b"untold", PATIENCE)
    assert [event.kind for event in told[:2]] == [Event.CONNECTING, Event.CONNECTED]
    assert b"".join(event.data for event in told) == b"told!"
    assert "an exception of the program's" in caplog.text
    console.close()


def test_breaks_are_sent(console: bmclink.Console) -> None:
    console.send_break(PATIENCE)
    console.break_(PATIENCE)
    console.begin_break()
    console.drain(PATIENCE)


def test_the_terminal_of_a_command_is_a_console() -> None:
    command = bmclink.ExecOptions(
        ["sh", "-c", "echo ready $NAME; stty size; cat"],
        environment={"NAME": "python"},
        signature=b"ready",
        window=(132, 50),
    )
    with bmclink.Engine.default().exec_console(command) as console:
        assert console.bmc is None
        console.connect(PATIENCE)
        assert console.read_until(b"50 132", PATIENCE).startswith(b"ready python")
        console.resize(80, 24)
        console.write(b"text")
        assert console.read_until(b"text", PATIENCE)
        with pytest.raises(bmclink.Incompatible):
            console.send_break()
    with pytest.raises(bmclink.Misuse):
        bmclink.Engine.default().exec_console(bmclink.ExecOptions("sh -c true"))
    missing = bmclink.Engine.default().exec_console(bmclink.ExecOptions(["no-such-command"]))
    with pytest.raises(bmclink.BmcError, match="no-such-command"):
        missing.connect(PATIENCE)


def test_everything_is_written_to_a_log_file(
    echo: bmclink.Simulator, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "console.log"
    with echo.bmc().console(ConsoleOptions(log_file=path)) as console:
        console.connect(PATIENCE)
        console.write(b"logged\n")
        console.readline(PATIENCE)
        assert console.log_error is None
        console.reopen_log()
    wait_for(lambda: b"logged" in path.read_bytes())


def test_settings_out_of_range_are_refused(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    for options in (
        ConsoleOptions(instance=16),
        ConsoleOptions(instance=300),
        ConsoleOptions(retry={"never": 1.0}),
        ConsoleOptions(linger=-1.0),
        ConsoleOptions(replay_len=1),
    ):
        with pytest.raises(bmclink.Misuse):
            bmc.console(options)
