"""Exceptions by pyghmi's names."""

from __future__ import annotations

from typing import Any, Optional

__all__ = [
    "BmcErrorException",
    "BypassGenericBehavior",
    "FallbackData",
    "InvalidParameterValue",
    "IpmiException",
    "PyghmiException",
    "RedfishError",
    "TemporaryError",
    "UnrecognizedCertificate",
    "UnsupportedFunctionality",
]


class PyghmiException(Exception):
    """What most of them are."""


class IpmiException(PyghmiException):
    """A session or a command failed; `ipmicode` is the completion code, 0 when there is none."""

    def __init__(self, text: str = "", code: int = 0) -> None:
        super().__init__(text)
        self.ipmicode = code


class BmcErrorException(IpmiException):
    """The BMC did something that makes no sense."""


class RedfishError(PyghmiException):
    """Never raised here: there is no Redfish."""

    def __init__(self, text: str = "", msgid: Optional[str] = None) -> None:
        super().__init__(text)
        self.msgid = msgid


class UnrecognizedCertificate(Exception):
    """Never raised here: there are no certificates."""

    def __init__(self, text: str = "", certdata: Any = None) -> None:
        super().__init__(text)
        self.certdata = certdata


class TemporaryError(Exception):
    """Try again later."""


class InvalidParameterValue(PyghmiException):
    """An argument that means nothing."""


class UnsupportedFunctionality(PyghmiException):
    """The BMC, or this package, does not have that."""


class BypassGenericBehavior(PyghmiException):
    """Never raised here: it is for extensions of vendors."""


class FallbackData(PyghmiException):
    """Never raised here: it is for extensions of vendors."""

    def __init__(self, fallbackdata: Any) -> None:
        super().__init__()
        self.fallbackdata = fallbackdata
