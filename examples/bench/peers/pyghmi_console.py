"""pyghmi as a contestant of the benchmark: answers the lines that drive.rs describes.

usage: pyghmi_console.py FIRST-ADDRESS PORT USER PASSWORD
"""
import ipaddress
import json
import os
import signal
import sys
import time

from pyghmi.ipmi.console import Console

STEP_SECONDS = 60
# It connects one console after the other, with a pause in each.
CONNECT_SECONDS = 75
BLOCK_LEN = 2000
SOL_HEADER_LEN = 4


class One:
    """A console, and what it is waiting for."""

    def __init__(self, bench, index):
        self.problem = None
        self.received = bytearray()
        self.on_data = None
        host = str(ipaddress.ip_address(bench.first) + index)
        self.console = Console(
            host, bench.user, bench.password, self.take, port=bench.port, force=True)

    def take(self, data):
        if isinstance(data, dict):
            self.problem = data.get("error", self.problem)
        elif self.on_data:
            self.on_data(data)
        else:
            self.received += data

    def is_up(self):
        if self.problem:
            raise RuntimeError(f"console failed: {self.problem}")
        return self.console.connected

    def close(self):
        self.console.close()
        session = getattr(self.console, "ipmi_session", None)
        if session is not None:
            session.logout()


class Run:
    """A console on its way through steps of (bytes, answer, bytes before the answer)."""

    def __init__(self, one, steps):
        self.one = one
        self.steps = iter(steps)
        self.problem = None
        self.finished = False
        self.sendable = True
        one.on_data = self.take

    def send(self):
        """Sends the next step. Never from inside a callback of pyghmi: it would be lost."""
        self.sendable = False
        step = next(self.steps, None)
        if step is None:
            self.finished = True
            self.one.on_data = None
            return
        data, self.expected, self.left = step
        self.tail = b""
        self.one.console.send_data(data)

    def take(self, data):
        skipped = min(len(data), self.left)
        self.left -= skipped
        self.tail += bytes(data[skipped:])
        if self.tail == self.expected:
            self.sendable = True
        elif not self.expected.startswith(self.tail):
            self.problem = f"{self.tail!r} where {self.expected!r} was due"


class Bench:
    def __init__(self, first, port, user, password):
        self.first, self.port, self.user, self.password = first, int(port), user, password
        self.consoles = []

    @staticmethod
    def wait(ready, what, seconds=STEP_SECONDS):
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{what}: timed out")
            Console.wait_for_rsp(timeout=0.5)

    def latency(self, times):
        taken = []
        for number in range(times):
            time.sleep(0.1 + 0.5 * (number * 0.61803398875 % 1))
            started = time.monotonic()
            one = One(self, 0)
            self.wait(one.is_up, "connect")
            taken.append((time.monotonic() - started) * 1e3)
            one.close()
        return {"ms": taken}

    def connect(self, count):
        started = time.monotonic()
        self.consoles = [One(self, index) for index in range(count)]
        self.wait(lambda: all(one.is_up() for one in self.consoles), "connect", CONNECT_SECONDS)
        for one in self.consoles:
            # It takes the payload size that the BMC grants for a number of characters, and so
            # sends a header's length too many, which these BMCs do not take.
            one.console.maxoutcount -= SOL_HEADER_LEN
        return {"connected": count, "seconds": time.monotonic() - started}

    def cost(self, _):
        def field(path, name):
            with open(path) as lines:
                return next((int(ln.split()[1]) for ln in lines if ln.startswith(name)), 0)

        return {
            "rss_kib": field("/proc/self/status", "VmRSS:"),
            "pss_kib": field("/proc/self/smaps_rollup", "Pss:"),
            "fds": len(os.listdir("/proc/self/fd")) - 1,
            "threads": field("/proc/self/status", "Threads:"),
            "cpu": time.process_time(),
        }

    def echo(self, times):
        one, taken = self.consoles[0], []
        for _ in range(times):
            one.received.clear()
            started = time.monotonic()
            one.console.send_data(b"x")
            self.wait(lambda: one.received, "echo")
            if one.received != b"x":
                raise RuntimeError(f"the echo of x was {bytes(one.received)!r}")
            taken.append((time.monotonic() - started) * 1e6)
        return {"us": taken}

    def down(self, count):
        return self.run_all([(b"!print %d\r" % count, b"<done>", count)])

    def up(self, count):
        steps = []
        for start in range(0, count, BLOCK_LEN):
            size = min(BLOCK_LEN, count - start)
            steps.append((b"!take %d\r" % size, b"<ready>", 0))
            steps.append((bytes(97 + at % 26 for at in range(size)), b"<done>", 0))
        return self.run_all(steps)

    def run_all(self, steps):
        started = time.monotonic()
        runs = [Run(one, steps) for one in self.consoles]

        def finished():
            problem = next((run.problem for run in runs if run.problem), None)
            if problem:
                raise RuntimeError(problem)
            for run in runs:
                while run.sendable:
                    run.send()
            return all(run.finished for run in runs)

        self.wait(finished, "consoles")
        return {"seconds": time.monotonic() - started}

    def answer(self, line):
        name, _, count = line.partition(" ")
        if name not in ("latency", "connect", "cost", "echo", "down", "up"):
            raise RuntimeError("unknown line")
        return getattr(self, name)(int(count or 0))


def too_late(*_):
    raise RuntimeError("timed out inside pyghmi")


def main():
    bench = Bench(*sys.argv[1:])
    # Its constructor waits for an answer for ever.
    signal.signal(signal.SIGALRM, too_late)
    for line in sys.stdin:
        try:
            signal.alarm(CONNECT_SECONDS)
            answer = bench.answer(line.strip())
        except Exception as error:  # Whatever it is, it is this contestant's result.
            answer = {"error": f"{type(error).__name__}: {error}"}
        signal.alarm(0)
        print(json.dumps(answer), flush=True)
    signal.alarm(10)
    for one in bench.consoles:
        one.close()
    sys.stdout.flush()
    # Its threads do not end by themselves.
    os._exit(0)


main()
