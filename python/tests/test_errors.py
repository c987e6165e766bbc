"""Each cause has its own exception."""

from __future__ import annotations

import pickle
import socket
from typing import Callable

import pytest

import bmclink
from bmclink import BmcOptions, Stage
from bmclink._native import lib
from bmclink.errors import last_error
from conftest import PATIENCE

Simulate = Callable[..., bmclink.Simulator]


def test_wrong_credentials_are_told_apart(echo: bmclink.Simulator) -> None:
    with pytest.raises(bmclink.WrongPassword) as password:
        echo.bmc(password="wrong").connect(PATIENCE)
    with pytest.raises(bmclink.UserNameRefused) as user:
        echo.bmc(user_name="nobody").connect(PATIENCE)
    credentials = bmclink.Credentials("admin", "password", b"a key")
    with pytest.raises(bmclink.WrongKg) as key:
        echo.bmc(credentials=credentials).connect(PATIENCE)
    for caught in (password, user, key):
        error = caught.value
        assert isinstance(error, bmclink.BadCredentials)
        assert isinstance(error, bmclink.BmcError)
        assert error.text and error.advice and str(error) == error.text
        assert error.code < 0
    assert password.value.stage is Stage.RAKP2
    assert (user.value.stage, user.value.status) == (Stage.RAKP2, 0x0D)
    assert key.value.stage is Stage.RAKP4
    assert "password" not in repr(credentials)


def test_the_console_says_the_same(echo: bmclink.Simulator) -> None:
    console = echo.bmc(password="wrong").console()
    with pytest.raises(bmclink.WrongPassword):
        console.connect(PATIENCE)
    assert isinstance(console.reason, bmclink.WrongPassword)
    assert isinstance(console.why().reason, bmclink.WrongPassword)


def test_a_bmc_that_is_not_there(simulate: Simulate) -> None:
    simulator = simulate()
    simulator.set_reachable(False)
    hasty = BmcOptions(login_attempts=1, timing={"handshake_first": 0.05, "handshake_max": 0.05})
    with pytest.raises(bmclink.Unreachable) as silent:
        simulator.bmc(options=hasty).connect(PATIENCE)
    assert type(silent.value) is bmclink.Unreachable
    with pytest.raises((bmclink.TimedOut, bmclink.Unreachable)):
        simulator.bmc().connect(0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(bmclink.ConnectionRefused):
        bmclink.Bmc("127.0.0.1", "admin", "x", port=port, options=hasty).connect(PATIENCE)
    with pytest.raises(bmclink.NameNotFound):
        bmclink.Bmc("no-such-name.invalid", "admin", "x").connect(PATIENCE)


def test_a_console_that_is_in_use(echo: bmclink.Simulator) -> None:
    with echo.bmc().console() as mine:
        mine.connect(PATIENCE)
        with bmclink.Engine() as engine:
            other = echo.bmc(engine=engine).console()
            with pytest.raises(bmclink.SolInUse) as caught:
                other.connect(PATIENCE)
            assert isinstance(caught.value, bmclink.SolRefused)
            assert caught.value.stage is Stage.ACTIVATE_SOL
            assert caught.value.completion_code == 0x80
            force = bmclink.ConsoleOptions(take_over=bmclink.TakeOver.ONCE)
            echo.bmc(engine=engine).console(force).connect(PATIENCE)
        with pytest.raises(bmclink.Lost):
            mine.read(timeout=PATIENCE)


def test_what_is_not_connected(echo: bmclink.Simulator) -> None:
    console = echo.bmc().console()
    with pytest.raises(bmclink.NotConnected):
        console.write(b"x")
    console.close()
    with pytest.raises(bmclink.Closed):
        console.connect()


def test_an_engine_that_was_closed(echo: bmclink.Simulator) -> None:
    engine = bmclink.Engine(bmclink.EngineOptions(shards=1, login_rate=0, local_address="127.0.0.1"))
    bmc = echo.bmc(engine=engine)
    assert bmc.power()
    engine.close()
    engine.close()
    with pytest.raises(bmclink.ShutDown):
        bmc.power()
    with pytest.raises(bmclink.Closed):
        echo.bmc(engine=engine)
    with pytest.raises(bmclink.Misuse):
        bmclink.Engine(bmclink.EngineOptions(shards=100))
    with pytest.raises(bmclink.Misuse):
        bmclink.Engine(bmclink.EngineOptions(shards=-1))


def test_the_default_engine_is_made_again_when_it_was_closed(echo: bmclink.Simulator) -> None:
    # One of the default's own would end what other tests use.
    kept, bmclink.Engine._default = bmclink.Engine._default, None
    try:
        first = bmclink.Engine.default()
        assert bmclink.Engine.default() is first
        first.close()
        second = bmclink.Engine.default()
        assert second is not first and echo.bmc().power()
        second.close()
    finally:
        bmclink.Engine._default = kept


def test_what_another_thread_has_closed_is_closed(echo: bmclink.Simulator) -> None:
    reader = echo.bmc().console().reader()
    number = reader._handle.number
    reader.close()
    # As if it was closed between two steps.
    assert lib.reader_event_epoch(number) == bmclink.Misuse.code
    assert isinstance(last_error(bmclink.Misuse.code), bmclink.Closed)


def test_misuse_is_a_value_error() -> None:
    for wrong in (
        lambda: bmclink.Bmc("bmc"),
        lambda: bmclink.Bmc("bmc", "admin"),
        lambda: bmclink.Bmc("bmc", "a", "b", credentials=bmclink.Credentials("a", "b")),
        lambda: bmclink.Bmc("bmc", "", ""),
        lambda: bmclink.Bmc("bmc", "admin", "x", port=70000),
        lambda: bmclink.Bmc("b\0mc", "admin", "x"),
        lambda: bmclink.Credentials("u" * 17, "x"),
        lambda: bmclink.Credentials("u", "x" * 21),
        lambda: bmclink.Simulator(profile="no such"),
        lambda: bmclink.Simulator(0),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_exceptions_can_be_sent_to_other_processes(echo: bmclink.Simulator) -> None:
    with pytest.raises(bmclink.WrongPassword) as caught:
        echo.bmc(password="wrong").connect(PATIENCE)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is bmclink.WrongPassword
    assert (str(again), again.advice, again.stage) == (
        str(caught.value),
        caught.value.advice,
        Stage.RAKP2,
    )
    assert isinstance(bmclink.TimedOut("late"), TimeoutError)
    assert isinstance(bmclink.SystemFailed("no"), OSError)
    assert str(pickle.loads(pickle.dumps(bmclink.TimedOut("late")))) == "late"
