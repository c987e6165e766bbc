"""The package and include/bmclink.h say the same."""

from __future__ import annotations

import re
from typing import Dict

import pytest

import bmclink
from bmclink import _native, enums, errors
from conftest import CHECKOUT

HEADER = re.sub(
    r"/\*.*?\*/", "", (CHECKOUT / "include" / "bmclink.h").read_text(), flags=re.DOTALL
)

# Handles and what the caller keeps are pointers; so are places for bytes.
LETTERS = {
    "void": "",
    "const char *": "s",
    "const void *": "s",
    "const uint8_t *": "s",
    "void *": "p",
    "char *": "p",
    "int32_t": "i",
    "int32_t *": "I",
    "int64_t": "q",
    "int64_t *": "Q",
    "uint8_t": "b",
    "uint8_t *": "B",
    "uint16_t": "w",
    "uint16_t *": "W",
    "uint32_t": "u",
    "uint32_t *": "U",
    "uint64_t": "t",
    "uint64_t *": "T",
    "size_t": "z",
    "size_t *": "Z",
    "double *": "d",
    "bmclink_log_callback": "l",
    "bmclink_console_callback": "c",
}


def letter(kind: str) -> str:
    kind = re.sub(r"\s+", " ", kind).replace("* *", "**").strip()
    if kind.startswith("struct "):
        return "P" if kind.endswith("**") else "p"
    return LETTERS.get(kind, "?")


def prototypes() -> Dict[str, str]:
    found = {}
    pattern = r"^(?:BMCLINK_MUST_USE\s+)?((?:const )?\w+ \*?)\s*bmclink_(\w+)\(([^;{]*)\);"
    for result, name, arguments in re.findall(pattern, HEADER, re.MULTILINE):
        letters = ""
        for argument in arguments.split(","):
            kind = re.sub(r"(\w+)$", "", argument.strip()) if argument != "void" else "void"
            letters += letter(kind)
        found[name] = f"{letter(result)} {letters}".strip()
    return found


def test_every_function_is_called_as_the_header_says() -> None:
    header = prototypes()
    assert len(header) > 120
    ours = [line.split(" ", 1) for line in _native.SIGNATURES.split("\n") if line]
    assert len(ours) > 100
    for name, signature in ours:
        assert header[name] == signature, name


def test_the_header_describes_an_interface_the_package_works_with() -> None:
    found = re.search(r"#define BMCLINK_ABI_VERSION (\d+)", HEADER)
    assert found is not None
    header = int(found[1])
    assert header >= _native.ABI_VERSION and header >> 16 == _native.ABI_VERSION >> 16


def constants(prefix: str) -> Dict[str, int]:
    return {
        name: int(value)
        for name, value in re.findall(rf"^\s*BMCLINK_{prefix}_(\w+) = (-?\d+),", HEADER, re.M)
    }


@pytest.mark.parametrize(
    ("prefix", "ours"),
    [
        ("STAGE", enums.Stage),
        ("STATE", enums.State),
        ("PRIVILEGE", enums.Privilege),
        ("IPMI", enums.IpmiVersion),
        ("USER_LOOKUP", enums.UserLookup),
        ("AUTH", enums.AuthType),
        ("TAKE_OVER", enums.TakeOver),
        ("KEEP", enums.Keep),
        ("EVENT", enums.Event),
        ("READY", enums.Ready),
    ],
)
def test_numbers_are_those_of_the_header(prefix: str, ours: type) -> None:
    header = constants(prefix)
    assert header
    assert {member.name: member.value for member in ours} == header  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("prefix", "ours"),
    [("TIMING", enums.TIMINGS), ("RETRY", enums.RETRIES), ("COUNTER", enums.COUNTERS)],
)
def test_names_are_those_of_the_header(prefix: str, ours: Dict[str, int]) -> None:
    assert {name.lower(): value for name, value in constants(prefix).items()} == ours


def test_every_error_of_the_header_has_a_class() -> None:
    codes = set(constants("ERR").values())
    assert codes and codes == {code for code in errors.BY_CODE if code != 0}


def test_a_number_that_is_not_known_is_kept() -> None:
    event = enums.Event(9999)
    assert event == 9999 and "9999" in str(event)


def test_the_package_tells_its_versions() -> None:
    assert bmclink.library_version() == bmclink.__version__
    assert bmclink.has_feature("sim") and not bmclink.has_feature("no such")
