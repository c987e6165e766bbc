"""The package as it is installed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import zipfile

from bmclink import _native
from conftest import CHECKOUT, PATIENCE

SOURCES = CHECKOUT / "python" / "src" / "bmclink"
PROGRAM = """
import bmclink, bmclink.aio, bmclink.compat.pyghmi.ipmi.console
print(bmclink.Simulator().bmc().power(), bmclink.__file__)
"""


def pip(*arguments: str) -> None:
    # No index: there is nothing to download.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
    environment = {**os.environ, "BMCLINK_LIBRARY": _native._library._name}
    subprocess.run(
        [*command, *arguments], check=True, env=environment, timeout=PATIENCE, capture_output=True
    )


def test_it_is_installed_from_the_checkout_without_an_index(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "site"
    pip("install", "--no-index", "--target", str(target), str(CHECKOUT / "python"))
    environment = {**os.environ, "PYTHONPATH": str(target)}
    environment.pop("BMCLINK_LIBRARY", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == f"True {target}/bmclink/__init__.py\n", done.stderr


def test_the_wheel_has_everything_and_nothing_else(tmp_path: pathlib.Path) -> None:
    pip("wheel", "--no-index", "--no-deps", "-w", str(tmp_path), str(CHECKOUT / "python"))
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.startswith("bmclink-0.1.0-py3-none-linux_")
    with zipfile.ZipFile(wheel) as opened:
        assert opened.testzip() is None
        names = {name for name in opened.namelist() if name.startswith("bmclink/")}
        record = opened.read("bmclink-0.1.0.dist-info/RECORD").decode()
    sources = {f"bmclink/{path.relative_to(SOURCES)}" for path in SOURCES.rglob("*.py")}
    assert names == sources | {"bmclink/py.typed", "bmclink/libbmclink.so"}
    assert all(f"{name}," in record for name in names)
