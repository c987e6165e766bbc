"""The library's log, as records of Python's `logging`."""

from __future__ import annotations

import atexit
import logging
import threading

from ._handle import check, generation
from ._native import LOG_CALLBACK, lib
from .errors import Misuse

__all__ = ["TRACE", "log_to_logging"]

#: The level of what is about single packets.
TRACE = 5

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG, 5: TRACE}
_born = generation()
_lock = threading.Lock()


def _on_message(level: int, target: bytes, message: bytes, _user: object) -> None:
    try:
        name = target.decode(errors="replace").replace("::", ".")
        text = message.decode(errors="replace")
        logging.getLogger(name).log(_LEVELS.get(level, TRACE), "%s", text)
    except BaseException:  # noqa: B902
        # A handler that fails has nobody to tell it to.
        return


_c_on_message = LOG_CALLBACK(_on_message)


def log_to_logging(level: int = logging.INFO) -> None:
    """Sends what the library logs to the loggers "bmclink.session", "bmclink.sol", "bmclink.net",
    "bmclink.dns", "bmclink.backend" and "bmclink.engine", from this level on.

    Levels are those of `logging`, and `TRACE` for single packets; above `logging.CRITICAL`, or
    `logging.NOTSET`, turns it off. It is one setting for the whole process. Messages come on a
    thread of the library's and never contain passwords.
    """
    if generation() != _born:
        raise Misuse("its thread did not survive the fork: log in the parent, or spawn the child")
    ours = 0
    if level != logging.NOTSET:
        wanted = [number for number, theirs in _LEVELS.items() if theirs >= level]
        ours = max(wanted, default=1 if level <= logging.CRITICAL else 0)
    with _lock:
        check(lib.set_log(ours, _c_on_message if ours else LOG_CALLBACK(0), None))
        if ours:
            _off_at_exit()


def _off_at_exit() -> None:
    # The interpreter must not be called any more once it ends.
    atexit.unregister(_off)
    atexit.register(_off)


def _off() -> None:
    if generation() == _born:
        lib.set_log(0, LOG_CALLBACK(0), None)
