"""Numbers of pyghmi's."""

from __future__ import annotations

__all__ = ["Health"]


class Health:
    """How bad it is: to be combined with `|`."""

    Ok = 0
    Warning = 1
    Critical = 2
    Failed = 4
