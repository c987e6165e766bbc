"""What the tests share."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap
from typing import Callable, Iterator

import pytest

import bmclink

#: For what must happen: never to be waited for in a test that passes.
PATIENCE = 60.0
CHECKOUT = pathlib.Path(__file__).parent.parent.parent
ALL_BYTES = bytes(range(256)) * 64


@pytest.fixture
def simulate() -> Iterator[Callable[..., bmclink.Simulator]]:
    """Makes simulators that end with the test."""
    made = []

    def make(count: int = 1, **options: str) -> bmclink.Simulator:
        made.append(bmclink.Simulator(count, **options))
        return made[-1]

    yield make
    for simulator in made:
        simulator.close()


@pytest.fixture
def echo(simulate: Callable[..., bmclink.Simulator]) -> bmclink.Simulator:
    """A BMC whose serial port sends back what it receives."""
    return simulate(serial="echo")


@pytest.fixture
def console(echo: bmclink.Simulator) -> Iterator[bmclink.Console]:
    """Its console, connected."""
    with echo.bmc() as bmc, bmc.console() as console:
        console.connect(PATIENCE)
        yield console


def run_program(source: str, *, patience: float = PATIENCE) -> "subprocess.CompletedProcess[str]":
    """Runs a program in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=patience,
    )


def run_example(name: str, *arguments: str, text: bytes = b"") -> "tuple[int, bytes, str]":
    """Runs an example: its status, its output, its messages."""
    program = CHECKOUT / "python" / "examples" / name
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(program), *arguments],
        input=text,
        capture_output=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout, done.stderr.decode()
