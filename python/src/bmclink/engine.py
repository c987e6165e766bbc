"""The threads that run sessions."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Dict, Optional

from . import _handle
from ._handle import Handle
from ._native import lib
from .options import ConsoleOptions, EngineOptions, ExecOptions

if TYPE_CHECKING:
    from .console import Console

__all__ = ["Engine"]


class Engine:
    """The threads that run sessions. One per process will do: `Engine.default`.

    A context manager: closing it closes every session at its BMC and ends its threads.
    """

    _default: Optional["Engine"] = None
    _default_lock = threading.Lock()

    def __init__(self, options: EngineOptions = EngineOptions()) -> None:
        made = options._make()
        self._handle = Handle(lambda place: lib.engine_new(made.number, place), "engine_free")

    @classmethod
    def default(cls) -> "Engine":
        """The engine of this process, made when it is first needed, and anew after a fork or
        when it was closed."""
        with cls._default_lock:
            if cls._default is None or cls._default._handle.is_freed:
                cls._default = cls()
            return cls._default

    def exec_console(
        self, command: ExecOptions, options: Optional[ConsoleOptions] = None
    ) -> "Console":
        """Opens a console that is the terminal of a command, which runs while the console is to
        be connected."""
        from .console import Console

        return Console._of_command(self, command, options or ConsoleOptions())

    def stats(self, shard: Optional[int] = None) -> Dict[str, int]:
        """What was counted since the engine was made, by all its threads or by one of them."""
        number = -1 if shard is None else shard
        return _handle.stats(lambda place: lib.engine_stats(self._handle.number, number, place))

    def close(self) -> None:
        """Closes every session at its BMC and ends the engine's threads, within three seconds.

        Calls that wait in other threads, and later ones on its BMCs and consoles, fail with
        `ShutDown`.
        """
        self._handle.free()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _forked() -> None:
    # The lock may be held by a thread that does not exist here.
    Engine._default_lock = threading.Lock()
    Engine._default = None


os.register_at_fork(after_in_child=_forked)
