"""BMCs that need no hardware."""

from __future__ import annotations

from typing import Iterator, Optional, Tuple

from . import _handle
from ._handle import Handle, check
from ._native import lib, text
from .bmc import Bmc
from .credentials import Credentials, Secret, secret
from .engine import Engine
from .options import BmcOptions

__all__ = ["Simulator"]


class Simulator:
    """Simulated BMCs on the loopback device: complete ones, with users "admin" (password
    "password"), "operator" and "user" (passwords like the names).

    `profile` is what they behave like: "spec", "openbmc", "go-ipmi", "pyghmi" or "ipmi-sim".
    `serial` is what is behind their serial ports: "shell" (a login and a few commands), "echo",
    "flood", "boot", "none" or "cmd:" and a command line. Each has an address of its own, all the
    same free port.
    """

    def __init__(self, count: int = 1, *, profile: str = "spec", serial: str = "shell") -> None:
        kind, port = text(profile), text(serial)
        self._count = count
        self._handle = Handle(
            lambda place: lib.sim_start(kind, port, max(0, count), place), "sim_free"
        )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Tuple[str, int]]:
        return (self.address(index) for index in range(self._count))

    def address(self, index: int = 0) -> Tuple[str, int]:
        """Address and UDP port of one of them."""
        number = self._handle.number
        return _handle.address(lambda *place: int(lib.sim_address(number, index, *place)))

    def bmc(
        self,
        index: int = 0,
        user_name: Secret = "admin",
        password: Secret = "password",
        *,
        credentials: Optional[Credentials] = None,
        options: Optional[BmcOptions] = None,
        engine: Optional[Engine] = None,
    ) -> Bmc:
        """One of them as a `Bmc`, which keeps the simulator."""
        host, port = self.address(index)
        credentials = credentials or Credentials(user_name, password)
        bmc = Bmc(host, credentials=credentials, port=port, options=options, engine=engine)
        # As long as somebody has the BMC, it answers.
        bmc._keeps = self
        return bmc

    def reset(self, index: int = 0) -> None:
        """Resets one: it forgets its sessions, without a word to anybody."""
        check(lib.sim_reset(self._handle.number, index))

    def steal_sol(self, index: int = 0) -> None:
        """Has another session take its SOL."""
        check(lib.sim_steal_sol(self._handle.number, index))

    def set_reachable(self, reachable: bool, index: int = 0) -> None:
        """Has it answer, or be as silent as one that is switched off."""
        check(lib.sim_set_reachable(self._handle.number, index, int(reachable)))

    def set_password(self, user_name: Secret, password: Secret, index: int = 0) -> None:
        """Changes the password of a user. Sessions that are up stay up."""
        name, word = secret(user_name), secret(password)
        number = self._handle.number
        check(lib.sim_set_password(number, index, name, len(name), word, len(word)))

    def close(self) -> None:
        """Ends them, and waits until that is done."""
        self._handle.free()

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
