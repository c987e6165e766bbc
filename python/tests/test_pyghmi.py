"""Programs written for pyghmi, beside the real one, with the same simulated BMCs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from pyghmi import exceptions as real_exceptions
from pyghmi.ipmi import command as real_command
from pyghmi.ipmi import console as real_console
from pyghmi.ipmi.private.session import Session as RealSession

import bmclink
from bmclink.compat.pyghmi import exceptions as our_exceptions
from bmclink.compat.pyghmi.ipmi import command as our_command
from bmclink.compat.pyghmi.ipmi import console as our_console
from bmclink.compat.pyghmi.ipmi.private.session import Session as OurSession
from conftest import ALL_BYTES, CHECKOUT, PATIENCE

Simulate = Callable[..., bmclink.Simulator]
Libraries = Tuple[Any, Any, Any, Any]

REAL: Libraries = (real_command, real_console, real_exceptions, RealSession)
OURS: Libraries = (our_command, our_console, our_exceptions, OurSession)


@contextlib.contextmanager
def commands(simulator: bmclink.Simulator) -> Iterator[List[Any]]:
    """A command object of each, each with a BMC of its own."""
    made = []
    for index, library in enumerate((REAL, OURS)):
        host, port = simulator.address(index)
        made.append(library[0].Command(host, "admin", "password", port=port))
    yield made
    for each in made:
        each.ipmi_session.logout()


def shape(value: Any) -> Any:
    """What must be the same: everything but texts of errors and addresses in memory."""
    if isinstance(value, dict):
        return {key: "text" if key == "error" else shape(item) for key, item in value.items()}
    if isinstance(value, memoryview):
        return ("memoryview", bytes(value))
    if isinstance(value, (list, tuple)):
        return [shape(item) for item in value]
    return value


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return shape(call())
    except Exception as error:
        return (type(error).__name__, getattr(error, "ipmicode", None))


CALLS: Dict[str, Callable[[Any], Any]] = {
    "power": lambda c: c.get_power(),
    "on already": lambda c: c.set_power("on"),
    "off and wait": lambda c: c.set_power("off", wait=True),
    "off": lambda c: c.get_power(),
    "boot from off": lambda c: c.set_power("boot"),
    "boot from on": lambda c: c.set_power("boot"),
    "reset and wait": lambda c: c.set_power("reset", wait=True),
    "shut down and wait": lambda c: c.set_power("shutdown", wait=30),
    "on and wait": lambda c: c.set_power("on", wait=30),
    "diag": lambda c: c.set_power("diag"),
    "no such power": lambda c: c.set_power("sideways"),
    "no boot device": lambda c: c.get_bootdev(),
    **{
        f"boot {name}": lambda c, name=name: [c.set_bootdev(name), c.get_bootdev()]
        for name in ("pxe", "hd", "cd", "setup", "usb", "default")
    },
    "boot for ever": lambda c: [c.set_bootdev("hd", True, True), c.get_bootdev()],
    "boot nothing": lambda c: c.set_bootdev("no such device"),
    "raw": lambda c: c.raw_command(netfn=6, command=1),
    "raw with data": lambda c: c.raw_command(netfn=6, command=0x38, data=(14, 4)),
    "raw with bytes": lambda c: c.raw_command(netfn=6, command=0x38, data=bytearray((14, 4))),
    "raw refused": lambda c: c.raw_command(netfn=6, command=0x99),
    "raw wrong length": lambda c: c.raw_command(netfn=0, command=2, data=(1, 2, 3)),
    "raw strictly": lambda c: c.xraw_command(netfn=6, command=1),
    "raw strictly refused": lambda c: c.xraw_command(netfn=6, command=0x99),
    "identify": lambda c: c.set_identify(True),
    "identify off": lambda c: c.set_identify(False),
    "identify for a while": lambda c: c.set_identify(duration=5),
    "identify blinking": lambda c: c.set_identify(blink=True),
    "reset the bmc": lambda c: c.reset_bmc(),
}


def test_commands_give_what_the_real_one_gives(simulate: Simulate) -> None:
    with commands(simulate(2)) as (real, ours):
        for name, call in CALLS.items():
            expected = outcome(lambda call=call: call(real))
            assert outcome(lambda call=call: call(ours)) == expected, name


# Like the real one's: about a temperature, its end, a chassis, a memory, a host; two of vendors.
EVENTS = (
    bytes.fromhex("0000 02 00000000 2000 04 01 01 01 59 5a 55"),
    bytes.fromhex("0000 02 00000000 2000 04 01 01 81 59 50 55"),
    bytes.fromhex("0000 02 00000000 2000 04 05 42 6f 00 ff ff"),
    bytes.fromhex("0000 02 00000000 2000 04 0c 63 6f a1 12 03"),
    bytes.fromhex("0000 02 00000000 4100 04 12 00 6f 01 ff ff"),
    bytes.fromhex("0000 c1 00000000 010203 616263646566"),
    bytes.fromhex("0000 e1 30313233343536373839616263"),
)
# Texts of our own, a severity of our own, and when it was.
OWN_OF_EVENTS = {"event", "severity", "timestamp", "timecode"}


def test_the_event_log_is_what_the_real_one_gives(simulate: Simulate) -> None:
    simulator = simulate(2)
    for index in range(2):
        for event in EVENTS:
            simulator.bmc(index).raw(0x0A, 0x44, event).check()
    with commands(simulator) as (real, ours):
        expected, found = list(real.get_event_log()), list(ours.get_event_log())
        assert len(expected) == len(found) == len(EVENTS)
        for theirs, own in zip(expected, found):
            assert set(theirs) == set(own)
            for key in set(theirs) - OWN_OF_EVENTS:
                assert own[key] == theirs[key], key
        cleared = list(ours.get_event_log(clear=True))
        assert [event["record_id"] for event in cleared] == [1, 2, 3, 4, 5, 6, 7]
        assert list(ours.get_event_log()) == []
    uncorrectable = found[3]
    assert "uncorrectable" in uncorrectable["event"] and uncorrectable["severity"] > 0


def test_sensors_are_what_the_real_one_gives(simulate: Simulate) -> None:
    with commands(simulate(2)) as (real, ours):
        ours_by_name = {reading.name: reading for reading in ours.get_sensor_data()}
        descriptions = {each["name"]: each["type"] for each in ours.get_sensor_descriptions()}
        compared = 0
        for theirs in real.get_sensor_descriptions():
            # The real one takes several that share a record for one.
            if theirs["name"] not in ours_by_name:
                assert any(name.startswith(theirs["name"]) for name in ours_by_name)
                continue
            assert descriptions[theirs["name"]] == theirs["type"]
            try:
                expected = real.get_sensor_reading(theirs["name"])
            except Exception:
                # It cannot read those of other controllers, nor those with factors.
                continue
            found = ours_by_name[theirs["name"]]
            assert set(vars(expected)) - set(vars(found)) == {"broken_sensor_ids"}
            for field in ("name", "type", "units", "health", "unavailable"):
                assert getattr(found, field) == getattr(expected, field), (theirs, field)
            assert (found.value is None) == (expected.value is None)
            assert len(found.states) == len(expected.states)
            if found.value is not None:
                # The hosts are two, and breathe.
                assert found.value == pytest.approx(expected.value, rel=0.5, abs=0.2)
            compared += 1
        assert compared >= 20
        assert ours.get_health() == {"health": 0, "badreadings": []}
        assert ours.get_sensor_reading("P12V").simplestring().startswith("P12V: 1")


def test_the_inventory_is_what_the_real_one_gives(simulate: Simulate) -> None:
    simulator = simulate(2)
    with commands(simulator) as (real, ours):
        expected, found = list(real.get_inventory()), list(ours.get_inventory())
        assert [name for name, _ in found] == [name for name, _ in expected]
        # Lists of more fields, and the number of a file.
        known = {"chassis_extra", "board_extra", "product_extra", "oem_parser"}
        known |= {"Board FRU Id", "FRU ID"}
        serial = {key for key in expected[0][1] if "serial" in key.lower() or key == "UUID"}
        for (_, theirs), (_, own) in zip(expected, found):
            assert set(own) == set(theirs) - known
            for key in set(own) - serial:
                assert own[key] == theirs[key], key
        assert list(ours.get_firmware()) == list(real.get_firmware())
        assert list(ours.get_inventory_descriptions()) == ["System", "Mainboard", "PSU1"]
        assert ours.get_inventory_of_component("PSU1") == found[2][1]
        # The same BMC has the same numbers, too.
        host, port = simulator.address(0)
        again = our_command.Command(host, "admin", "password", port=port)
        same = again.get_inventory_of_component("System")
        assert same is not None and serial
        assert {key: same[key] for key in serial} == {key: expected[0][1][key] for key in serial}


@pytest.mark.parametrize("library", [REAL, OURS], ids=["real", "ours"])
@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("nobody", "password")])
def test_a_login_that_is_refused(
    simulate: Simulate, library: Libraries, user: str, password: str
) -> None:
    command, _, exceptions, session = library
    # The real one hangs when it is to log in a second time where it was refused.
    (host, port), (other, _) = simulate(2)
    with pytest.raises(exceptions.IpmiException) as caught:
        command.Command(host, user, password, port=port)
    assert str(caught.value) and caught.value.ipmicode == 0
    told: List[Any] = []
    made = command.Command(
        other, user, password, port=port, onlogon=lambda *arguments: told.append(arguments)
    )
    pump(session, lambda: bool(told))
    assert [(list(response), about) for response, about in told] == [(["error"], made)]


def pump(session: Any, done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < until
        session.wait_for_rsp(0.05)


@pytest.mark.parametrize("library", [REAL, OURS], ids=["real", "ours"])
def test_a_login_that_is_told(simulate: Simulate, library: Libraries) -> None:
    command, _, _, session = library
    host, port = simulate().address()
    told: List[Any] = []
    made = command.Command(
        host, "admin", "password", port=port, onlogon=lambda *arguments: told.append(arguments)
    )
    pump(session, lambda: bool(told))
    assert told == [({"success": True}, made)]
    assert made.get_power() == {"powerstate": "on"}
    made.ipmi_session.logout()


class Following:
    """A console and what its handler got."""

    def __init__(self, library: Libraries, address: Tuple[str, int], **options: Any) -> None:
        self.got: List[Any] = []
        self.session = library[3]
        arguments = {"userid": "admin", "password": "password", **options}
        self.console = library[1].Console(
            bmc=address[0], port=address[1], iohandler=self.got.append, **arguments
        )

    def text(self) -> bytes:
        return b"".join(part for part in self.got if isinstance(part, bytes))

    def errors(self) -> List[Any]:
        return [part for part in self.got if isinstance(part, dict) and "error" in part]

    def pump(self, done: Callable[[], bool]) -> None:
        pump(self.session, done)


@pytest.mark.parametrize("library", [REAL, OURS], ids=["real", "ours"])
def test_a_console_carries_bytes(simulate: Simulate, library: Libraries) -> None:
    following = Following(library, simulate(serial="echo").address())
    console = following.console
    following.pump(lambda: bool(console.connected))
    console.send_data("hello ")
    following.pump(lambda: following.text() == b"hello ")
    console.send_break()
    console.send_data(b"bytes")
    following.pump(lambda: following.text() == b"hello bytes")
    assert not console.broken and following.errors() == []
    console.close()


def test_input_from_before_it_is_connected_is_not_lost(simulate: Simulate) -> None:
    following = Following(OURS, simulate(serial="echo").address())
    # More than any buffer on the way has room for.
    text = ALL_BYTES * 8
    following.console.send_data(text)
    following.pump(lambda: len(following.text()) >= len(text))
    assert following.text() == text
    following.console.close()
    following.console.close()
    assert OurSession.wait_for_rsp(0) == 0


@pytest.mark.parametrize("library", [REAL, OURS], ids=["real", "ours"])
def test_a_console_that_is_in_use_can_be_forced(simulate: Simulate, library: Libraries) -> None:
    simulator = simulate(serial="echo")
    with simulator.bmc().console() as other:
        other.connect(PATIENCE)
        refused = Following(library, simulator.address())
        refused.pump(lambda: bool(refused.errors()))
        assert refused.console.broken and not refused.console.connected
        forced = Following(library, simulator.address(), force=True)
        if library is OURS:
            forced.pump(lambda: bool(forced.console.connected))
            forced.console.send_data(b"mine")
            forced.pump(lambda: forced.text() == b"mine")
            with pytest.raises(bmclink.Lost):
                other.read(timeout=PATIENCE)
        forced.console.close()


@pytest.mark.parametrize("library", [REAL, OURS], ids=["real", "ours"])
def test_a_console_with_a_wrong_password(simulate: Simulate, library: Libraries) -> None:
    following = Following(library, simulate().address(), password="wrong")
    following.pump(lambda: bool(following.errors()))
    assert len(following.got) == 1 and isinstance(following.got[0]["error"], str)
    assert following.console.broken and not following.console.connected
    following.console.send_data(b"to nobody")
    following.console.close()


def test_a_console_that_is_taken_away_says_so_once(simulate: Simulate) -> None:
    simulator = simulate(serial="echo")
    following = Following(OURS, simulator.address())
    following.pump(lambda: bool(following.console.connected))
    following.console.send_data(b"x")
    following.pump(lambda: following.text() == b"x")
    simulator.steal_sol()
    following.pump(lambda: bool(following.errors()))
    assert following.console.broken and not following.console.connected
    assert len(following.errors()) == 1 and "another session" in following.errors()[0]["error"]


def test_a_console_and_commands_share_a_session(simulate: Simulate) -> None:
    address = simulate(serial="echo").address()
    following = Following(OURS, address)
    following.pump(lambda: bool(following.console.connected))
    command = our_command.Command(address[0], "admin", "password", port=address[1])
    assert command.ipmi_session._bmc.logins == 1
    following.console.close()
    assert command.get_power() == {"powerstate": "on"} and command.ipmi_session.logged == 1
    command.ipmi_session.logout()


def test_several_threads_may_wait(simulate: Simulate) -> None:
    simulator = simulate(20, serial="echo")
    all_of_them = [Following(OURS, simulator.address(index)) for index in range(20)]
    end = threading.Event()

    def wait() -> None:
        while not end.is_set():
            OurSession.wait_for_rsp(0.1)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for following in all_of_them:
        following.console.send_data(ALL_BYTES)
    until = time.monotonic() + PATIENCE
    while any(following.text() != ALL_BYTES for following in all_of_them):
        assert time.monotonic() < until
        time.sleep(0.02)
    end.set()
    for thread in threads:
        thread.join(PATIENCE)
    for following in all_of_them:
        following.console.close()


def test_the_exceptions_have_the_same_names_and_bases() -> None:
    names = [name for name in dir(real_exceptions) if not name.startswith("_")]
    assert set(names) == set(our_exceptions.__all__)
    for name in names:
        bases = [base.__name__ for base in getattr(real_exceptions, name).__mro__]
        assert [base.__name__ for base in getattr(our_exceptions, name).__mro__] == bases
    assert our_exceptions.IpmiException("text", 3).ipmicode == 3


PROGRAM = """
    import sys
    from pyghmi import exceptions
    from pyghmi.ipmi import command, console
    port, host, other, third = int(sys.argv[1]), *sys.argv[2:]

    print(command.Command(bmc=host, userid="admin", password="password", port=port).get_power())
    try:
        command.Command(bmc=other, userid="admin", password="wrong", port=port)
    except exceptions.IpmiException as error:
        print("refused", error.ipmicode)
    text = b""

    def handle(data):
        global text
        text += data

    sol = console.Console(bmc=third, userid="admin", password="password", iohandler=handle,
                          port=port, force=True)
    while not sol.connected:
        sol.wait_for_rsp(0.1)
    sol.send_data("hello")
    while text != b"hello":
        sol.wait_for_rsp(0.1)
    sol.close()
    print(text)
"""


@pytest.mark.parametrize("replaced", ["pyghmi", "bmclink.compat.pyghmi"])
def test_a_program_runs_with_its_imports_changed(simulate: Simulate, replaced: str) -> None:
    simulator = simulate(3, serial="echo")
    hosts = [host for host, _ in simulator]
    program = textwrap.dedent(PROGRAM).replace("from pyghmi", f"from {replaced}")
    done = subprocess.run(
        [sys.executable, "-c", program, str(simulator.address()[1]), *hosts],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == "{'powerstate': 'on'}\nrefused 0\nb'hello'\n", done.stderr
