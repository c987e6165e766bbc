#!/usr/bin/env python3
"""A serial console: standard output is what the host behind a BMC prints, standard input is what
it gets to read.

    console.py [-H host [-p port] [-U user] [-P password | -E (from BMCLINK_PASSWORD)]]

Without a host, attaches to a simulated BMC. On a terminal Ctrl-] ends; else it ends when the input
has ended, the BMC has taken all of it, and the host was silent for 500 ms.
"""

import argparse
import contextlib
import os
import select
import sys
import termios
import threading
import time
import tty
from typing import Iterator

import bmclink

CTRL_RIGHT_BRACKET = b"\x1d"
SILENCE = 0.5


def say(text: str) -> None:
    # On a raw terminal a newline alone does not go back to the left.
    print(f"console: {text}", end="\r\n" if sys.stderr.isatty() else "\n", file=sys.stderr)


@contextlib.contextmanager
def raw_terminal() -> Iterator[bool]:
    """Has the terminal hand over every key; says whether there is one."""
    if not os.isatty(0):
        yield False
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield True
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)


def copy_output(console: bmclink.Console, lost: "list[bmclink.BmcError]") -> None:
    """A thread of its own: prints until the console is closed or lost."""
    try:
        while text := console.read():
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
    except bmclink.BmcError as error:
        lost.append(error)


def copy_input(console: bmclink.Console, terminal: bool) -> None:
    """Sends what is typed until it ends, or the console does."""
    while console.state is bmclink.State.CONNECTED:
        if not select.select([0], [], [], 0.2)[0]:
            continue
        text = os.read(0, 4096)
        if terminal and CTRL_RIGHT_BRACKET in text:
            return
        if not text:
            console.drain(10)
            return
        console.write(text)


def await_silence(console: bmclink.Console) -> None:
    """Waits until the host has printed nothing for a while."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < SILENCE:
        received = console.counters()["received"]
        if received != seen:
            seen, since = received, time.monotonic()
        time.sleep(0.05)


def run(console: bmclink.Console) -> int:
    """From connected to closed."""
    lost: "list[bmclink.BmcError]" = []
    output = threading.Thread(target=copy_output, args=(console, lost))
    with raw_terminal() as terminal:
        output.start()
        try:
            copy_input(console, terminal)
            if not terminal:
                await_silence(console)
        finally:
            # This ends the read of the other thread, once it has printed all there is.
            console.close()
            output.join()
    say(str(lost[0]) if lost else "closed")
    return 1 if lost else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="a serial console")
    parser.add_argument("-H", dest="host")
    parser.add_argument("-p", dest="port", type=int, default=623)
    parser.add_argument("-U", dest="user", default="admin")
    parser.add_argument("-P", dest="password", default="password")
    parser.add_argument("-E", dest="environment", action="store_true")
    options = parser.parse_args()
    host, port, password = options.host, options.port, options.password
    if options.environment:
        password = os.environ.get("BMCLINK_PASSWORD", "")
    if host is None:
        simulator = bmclink.Simulator()
        host, port = simulator.address()
    try:
        say(f"connecting to {host}, port {port}")
        with bmclink.Bmc(host, options.user, password, port=port) as bmc, bmc.console() as console:
            console.connect()
            ends = "; Ctrl-] ends" if os.isatty(0) else ""
            say(f"connected (cipher suite {bmc.cipher_suite}){ends}")
            return run(console)
    except bmclink.BmcError as error:
        say(str(error))
        say(f"try: {error.advice}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
