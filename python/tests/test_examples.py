"""The examples, run as a new user would."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import bmclink
from conftest import ALL_BYTES, CHECKOUT, PATIENCE, run_example


def test_the_console_is_a_filter(echo: bmclink.Simulator) -> None:
    host, port = echo.address()
    status, output, messages = run_example("console.py", "-H", host, "-p", str(port), text=ALL_BYTES)
    assert (status, output) == (0, ALL_BYTES), messages
    assert f"connecting to {host}, port {port}" in messages
    assert "connected (cipher suite 17)" in messages and "closed" in messages


def test_the_console_brings_its_own_bmc_and_says_what_is_wrong(echo: bmclink.Simulator) -> None:
    status, output, messages = run_example("console.py", text=b"help\r")
    assert status == 0 and b"Simulated host" in output, messages
    host, port = echo.address()
    arguments = ("-H", host, "-p", str(port), "-P", "wrong")
    status, output, messages = run_example("console.py", *arguments)
    assert status == 1 and output == b""
    assert "wrong password" in messages and "try: check" in messages


def test_the_console_serves_a_terminal() -> None:
    ours, theirs = pty.openpty()
    program = str(CHECKOUT / "python" / "examples" / "console.py")
    process = subprocess.Popen(
        [sys.executable, program], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    seen = b""

    def wait_for(text: bytes) -> None:
        nonlocal seen
        until = time.monotonic() + PATIENCE
        while text not in seen:
            assert time.monotonic() < until, seen
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 4096)

    try:
        wait_for(b"Ctrl-] ends")
        os.write(ours, b"\r")
        wait_for(b"sim:~# ")
        os.write(ours, b"\x1d")
        wait_for(b"closed")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_many_are_followed() -> None:
    status, output, messages = run_example("many.py", "--seconds", "6")
    lines = output.decode().splitlines()
    assert status == 0 and lines[-1].startswith("200 of 200 consoles printed"), (output, messages)
    assert any("another session" in line for line in lines), output


def test_a_fleet_is_asked_and_switched() -> None:
    status, output, messages = run_example("power.py", "--timeout", "2")
    lines = output.decode().splitlines()
    assert status == 1 and lines[-1] == "8 of 10", (output, messages)
    assert sum(line.endswith(": on") for line in lines) == 8
    assert sum("wrong password" in line for line in lines) == 1
    status, output, _ = run_example("power.py", "--timeout", "2", "-a", "off")
    assert status == 1 and output.decode().count(": off\n") == 8
    status, output, messages = run_example("power.py", "-a", "sideways")
    assert status == 1 and b"0 of 10" in output, messages
