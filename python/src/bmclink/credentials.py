"""Who logs in."""

from __future__ import annotations

from typing import Union

from ._handle import Handle, check
from ._native import lib

__all__ = ["Credentials", "Secret"]

Secret = Union[str, bytes]


def secret(value: Secret) -> bytes:
    """A name or password as the bytes that go to the BMC."""
    return value.encode() if isinstance(value, str) else bytes(value)


class Credentials:
    """A user name, a password and maybe a K_g: one value that many BMCs can share.

    Texts are sent as UTF-8. A user name has at most 16 bytes, password and K_g at most 20: longer
    ones are refused with `Misuse`, nothing is cut silently. The library's copies are zeroed when
    they are not used any more; those that Python makes are not.
    """

    def __init__(self, user_name: Secret, password: Secret, k_g: Secret = b"") -> None:
        name, word, key = secret(user_name), secret(password), secret(k_g)
        self._handle = Handle(
            lambda place: lib.credentials_new(
                name, len(name), word, len(word), key, len(key), place
            ),
            "credentials_free",
        )

    def update(self, user_name: Secret, password: Secret, k_g: Secret = b"") -> None:
        """Replaces all three, for every BMC that has these credentials.

        Each of these logs in again at once. An equal value changes nothing.
        """
        name, word, key = secret(user_name), secret(password), secret(k_g)
        check(
            lib.credentials_update(
                self._handle.number, name, len(name), word, len(word), key, len(key)
            )
        )

    def __repr__(self) -> str:
        return "<Credentials>"
