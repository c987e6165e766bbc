"""Commands for one BMC and for many."""

from __future__ import annotations

import threading
import time
from typing import Callable, List

import pytest

import bmclink
from bmclink import BmcOptions, Privilege
from conftest import PATIENCE

Simulate = Callable[..., bmclink.Simulator]


def test_raw_commands_and_what_they_answer(echo: bmclink.Simulator) -> None:
    with echo.bmc() as bmc:
        reply = bmc.raw(0x06, 0x01)
        assert reply.completion_code == 0 and len(reply.check()) >= 11
        refused = bmc.raw(0x06, 0x99, [1, 2])
        assert refused.completion_code == 0xC1
        with pytest.raises(bmclink.CommandFailed) as caught:
            refused.check()
        assert caught.value.completion_code == 0xC1
        for wrong in ({"net_fn": 1, "cmd": 1}, {"net_fn": 6, "cmd": 256}, {"net_fn": -2, "cmd": 1}):
            with pytest.raises(bmclink.Misuse):
                bmc.raw(**wrong)
        assert bmc.logins == 1 and bmc.is_connected


def test_the_session_is_told_of(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    assert (bmc.cipher_suite, bmc.privilege, bmc.address) == (None, None, None)
    bmc.connect(PATIENCE)
    assert (bmc.cipher_suite, bmc.privilege) == (17, Privilege.ADMINISTRATOR)
    assert bmc.address == echo.address() and bmc.reason is None
    assert bmc.stats()["logins"] == 1
    assert bmc.engine.stats()["logins"] >= 1 and bmc.engine.stats(0)["turns"] >= 1
    with pytest.raises(bmclink.Misuse):
        bmc.engine.stats(1000)


def test_options_reach_the_session(echo: bmclink.Simulator) -> None:
    options = BmcOptions(
        cipher_suites=(3,),
        privilege=Privilege.USER,
        quirks=("intel20",),
        request_window=2,
        timing={"keepalive": 10.0},
    )
    bmc = echo.bmc(options=BmcOptions(cipher_suites=(3,), privilege=Privilege.USER))
    bmc.connect(PATIENCE)
    assert (bmc.cipher_suite, bmc.privilege) == (3, Privilege.USER)
    with pytest.raises(bmclink.PrivilegeRefused):
        bmc.set_power("off")
    bmc.reconfigure(options=options)
    assert bmc.options is options
    for wrong in (
        BmcOptions(cipher_suites=(4,)),
        BmcOptions(quirks=("no such quirk",)),
        BmcOptions(timing={"tea": 5.0}),
        BmcOptions(cipher_suites=(300,)),
    ):
        with pytest.raises(bmclink.Misuse):
            echo.bmc(options=wrong)


def test_an_old_bmc_is_managed_by_ipmi_1_5(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc(options=BmcOptions(ipmi_version=bmclink.IpmiVersion.V15))
    assert bmc.power() is True
    assert bmc.cipher_suite is None
    with pytest.raises(bmclink.Incompatible):
        bmc.console().connect(PATIENCE)


def test_the_host_is_switched_and_looked_after(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    assert bmc.power() is True
    bmc.set_power("off", wait=PATIENCE)
    assert bmc.power() is False
    bmc.set_power("on", wait=PATIENCE)
    status = bmc.chassis_status()
    assert status.power_on is True and status.power_fault is False
    bmc.identify(on=True)
    assert bmc.chassis_status().identify == "on"
    bmc.identify(on=False)
    bmc.set_power_restore_policy("off")
    assert bmc.chassis_status().restore_policy == "off"
    device = bmc.device_id()
    assert device.ipmi_version == "2.0" and device.busy is False
    assert bmc.self_test().result == "passed"
    assert len(bmc.system_guid()) == 16
    assert bmc.run("device_id")[0]["device_id"] == device.device_id
    for wrong in (
        lambda: bmc.set_power("up"),
        lambda: bmc.run("no such command"),
        lambda: bmc.run("device_id", None, no_such_argument=1),
        lambda: bmc.identify(seconds=1 << 70),
    ):
        with pytest.raises(bmclink.Misuse):
            wrong()


def test_commands_work_the_same_on_another_thread(echo: bmclink.Simulator) -> None:
    bmc, found = echo.bmc(), []

    def ask() -> None:
        found.append((bmc.power(), bmc.raw(6, 1).completion_code))
        try:
            bmc.run("raw", 1.0, net_fn=7, cmd=1)
        except bmclink.Misuse as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(PATIENCE)
    assert found[0] == (True, 0) and isinstance(found[1], bmclink.Misuse)


def test_a_command_is_cancelled_by_another_thread(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    bmc.connect(PATIENCE)
    echo.set_reachable(False)
    failures: List[BaseException] = []

    def ask() -> None:
        try:
            bmc.power(timeout=None)
        except bmclink.BmcError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while bmc.stats()["requests_waiting"] == 0:
        time.sleep(0.01)
    bmc.cancel()
    thread.join(PATIENCE)
    assert isinstance(failures[0], bmclink.Cancelled)


def test_a_fleet_tells_of_each_as_it_is_done(simulate: Simulate) -> None:
    simulator = simulate(30)
    simulator.set_reachable(False, 7)
    bmcs = [simulator.bmc(index) for index in range(30)]
    bmcs[3] = simulator.bmc(3, password="wrong")
    fleet = bmclink.Fleet(bmcs, timeout=1.5)
    assert len(fleet) == 30 and fleet.bmcs[3] is bmcs[3]
    rows = list(fleet.power())
    assert sorted(row.index for row in rows) == list(range(30))
    by_index = {row.index: row for row in rows}
    assert isinstance(by_index[3].error, bmclink.WrongPassword)
    assert isinstance(by_index[7].error, (bmclink.TimedOut, bmclink.Unreachable))
    # The one that is not there is the last, and held up nobody.
    assert rows[-1].index == 7
    with pytest.raises(bmclink.WrongPassword):
        assert by_index[3].row
    good = [row for row in rows if row.ok]
    assert len(good) == 28 and all(row.row["power_on"] for row in good)
    assert all(row.bmc is bmcs[row.index] for row in rows)


def test_a_run_of_a_fleet_can_be_cancelled_and_polled(simulate: Simulate) -> None:
    simulator = simulate(2)
    simulator.set_reachable(False, 1)
    fleet = bmclink.Fleet([simulator.bmc(0), simulator.bmc(1)], timeout=None)
    with bmclink.EventQueue() as queue, fleet.run("device_id") as run:
        queue.add(run, "run")
        assert queue.wait(PATIENCE)[0][0] == "run"
        first = run.next(0)
        assert first is not None and first.index == 0 and first.ok
        with pytest.raises(bmclink.TimedOut):
            run.next(0)
        assert run.left == 1 and run.fileno() >= 0
        run.cancel()
        second = run.next(PATIENCE)
        assert second is not None and isinstance(second.error, bmclink.Cancelled)
        assert run.next(PATIENCE) is None and list(run) == []
    assert list(bmclink.Fleet([]).power()) == []
    with pytest.raises(bmclink.Misuse):
        bmclink.Fleet([simulator.bmc(0)], at_once=0).power()


def test_a_fleet_is_switched(simulate: Simulate) -> None:
    simulator = simulate(5)
    fleet = bmclink.Fleet(simulator.bmc(index) for index in range(5))
    assert all(row.ok for row in fleet.set_power("off", wait=PATIENCE))
    assert not any(row.row["power_on"] for row in fleet.power())


def test_sensors_and_health(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    sensors = {sensor.name: sensor for sensor in bmc.sensors(PATIENCE)}
    inlet = sensors["Inlet Temp"]
    assert inlet.type == "Temperature" and inlet.unit == "degrees C" and inlet.severity == "ok"
    assert inlet.value is not None and 0 < inlet.value < 100 and inlet.error is None
    assert sensors["PS1 Status"].states == ("present",) and sensors["PS1 Status"].value is None
    health = bmc.health(PATIENCE)
    assert health.state == "ok" and health.judged > 10
    # Which sensors there are is remembered.
    before = bmc.stats()["datagrams_sent"]
    bmc.sensors(PATIENCE)
    again = bmc.stats()["datagrams_sent"] - before
    assert len(sensors) <= again < 2 * len(sensors)


def test_the_event_log_is_read_on_and_cleared(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    event = bytes.fromhex("0000 02 00000000 2000 04 01 01 01 59 5a 55")
    for _ in range(3):
        bmc.raw(0x0A, 0x44, event).check()
    entries = bmc.sel(timeout=PATIENCE)
    assert [entry.record_id for entry in entries] == [1, 2, 3]
    assert entries[0].severity == "critical" and "upper critical" in entries[0].text
    assert len(entries[0].data) == 16 and entries[0].time is not None
    assert bmc.sel(since=entries[-1]) == []
    bmc.raw(0x0A, 0x44, event).check()
    assert [entry.record_id for entry in bmc.sel(since=entries[-1])] == [4]
    assert len(bmc.clear_sel()) == 4 and bmc.sel() == []


def test_parts_boot_devices_and_users(echo: bmclink.Simulator) -> None:
    bmc = echo.bmc()
    frus = bmc.frus(PATIENCE)
    assert frus[0].product_name == "Simulated Server" and frus[0].checksums_ok is True
    assert frus[1].chassis_type is None and frus[1].error is None and frus[1].data
    assert bmc.boot_device().valid is False
    bmc.set_boot_device("pxe", persistent=True, efi=True)
    assert bmc.boot_device() == bmclink.BootDevice(True, "pxe", 1, True, True)
    bmc.set_boot_device("none")
    assert bmc.boot_device().device == "none"
    with pytest.raises(bmclink.Misuse):
        bmc.set_boot_device("tape")
    users = {user.name: user for user in bmc.users(PATIENCE)}
    assert users["admin"].privilege == "administrator" and users["admin"].enabled is True
    assert bmc.run("lan")[0]["mac_address"].count(":") == 5
