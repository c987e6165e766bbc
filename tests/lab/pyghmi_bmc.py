"""A BMC on pyghmi's server side, with a machine that has a power switch and a serial console.

    pyghmi_bmc.py ADDRESS PORT [K_G in hex]

User admin, password "password". Says "ready" when it listens; SIGTERM ends it. The console
echoes, but for these lines:

    @PING     answers PONG
    @BULK n   sends n patterned bytes, then "BULK n" on a line of its own
    @SINK n   answers "READY", swallows the next n bytes, then says "SINK n sha256"
"""

import hashlib
import sys
import traceback
import uuid

from pyghmi.ipmi import bmc
from pyghmi.ipmi.private import serversession, session

# pyghmi sets this in client sessions only. When a console goes away unasked, the server side
# trips over the missing attribute and the process dies.
serversession.ServerSession._customkeepalives = None

CHUNK_LEN = 256  # What pyghmi puts into one SOL packet.
PATTERN_ROW_LEN = 64


def pattern(length):
    """Rows of 64 bytes, each with its own number: a lost, doubled or moved byte shows."""
    rows = range(-(-length // PATTERN_ROW_LEN))
    return b"".join(b"%061d.\r\n" % row for row in rows)[:length]


class Terminal:
    """The machine at the far end of the serial line: bytes in, bytes out, no I/O."""

    def __init__(self):
        self.line = bytearray()
        self.output = bytearray()
        self.sink_len = 0
        self.sink_left = 0
        self.sink_hash = None

    def feed(self, data):
        while data:
            data = self.swallow(data) if self.sink_left else self.take_byte(data)

    def take_byte(self, data):
        byte, rest = data[:1], data[1:]
        if byte in b"\r\n" and self.line[:1] == b"@":
            line, self.line = bytes(self.line), bytearray()
            self.run(line.split())
            return rest
        self.line = bytearray() if byte in b"\r\n" else self.line + byte
        if self.line[:1] != b"@":
            self.output += byte
        return rest

    def swallow(self, data):
        taken, rest = data[: self.sink_left], data[self.sink_left :]
        self.sink_hash.update(taken)
        self.sink_left -= len(taken)
        if not self.sink_left:
            self.say("SINK %d %s" % (self.sink_len, self.sink_hash.hexdigest()))
        return rest

    def run(self, words):
        match words:
            case [b"@PING"]:
                self.say("PONG")
            case [b"@BULK", length] if length.isdigit():
                self.output += pattern(int(length))
                self.say("BULK %d" % int(length))
            case [b"@SINK", length] if length.isdigit():
                self.sink_len = self.sink_left = int(length)
                self.sink_hash = hashlib.sha256()
                self.say("READY")
            case _:
                self.say("?")

    def say(self, text):
        self.output += text.encode() + b"\r\n"


class Machine(bmc.Bmc):
    def __init__(self, address, port):
        guid = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
        super().__init__({"admin": "password"}, port=port, address=address, bmcuuid=guid)
        self.power = "on"
        self.boot_device = "default"
        self.terminal = Terminal()

    def get_system_guid(self):
        return self.uuid

    def cold_reset(self):
        return 0

    def get_power_state(self):
        return self.power

    def is_active(self):
        return self.power == "on"

    def power_on(self):
        self.power = "on"

    def power_off(self):
        self.power = "off"

    power_cycle = power_on
    power_shutdown = power_off

    def power_reset(self):
        pass

    def pulse_diag(self):
        pass

    def get_boot_device(self):
        return self.boot_device

    def set_boot_device(self, bootdevice):
        self.boot_device = bootdevice

    def activate_payload(self, request, session):
        if not self.activated:
            self.terminal = Terminal()
        super().activate_payload(request, session)

    def deactivate_payload(self, request, session):
        console = self.sol
        super().deactivate_payload(request, session)
        if console:
            # Else the loop in pump() goes on repeating the last packet to nobody for 12 s.
            console.awaitingack = False

    def iohandler(self, data):
        if isinstance(data, bytes):
            self.terminal.feed(data)
        elif self.sol and self.sol.broken:
            self.sol = None
            self.activated = False

    def pump(self):
        """Sends one packet of console output and waits for its ack.

        pyghmi sends what is queued from inside the handling of the ack before it, a few stack
        frames deeper per packet, so it must never have more than a packet queued.
        """
        console, output = self.sol, self.terminal.output
        if not console or console.awaitingack or not output:
            return False
        chunk = bytes(output[:CHUNK_LEN])
        del output[:CHUNK_LEN]
        console.send_data(chunk)
        return True


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    machine = Machine(address, port)
    if len(sys.argv) > 3:
        machine.set_kg(bytes.fromhex(sys.argv[3]))
    print("ready", flush=True)
    while True:
        try:
            if not machine.pump():
                session.Session.wait_for_rsp(0.5)
        except Exception:  # One client's fault must not end the BMC for the next.
            traceback.print_exc()


if __name__ == "__main__":
    main()
