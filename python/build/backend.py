"""Builds the wheel: the package and the library, which cargo makes from the checkout.

A build backend of our own (PEP 517, PEP 660), since the wheel is a zip file with one shared
library and no compiled Python in it: that needs nothing from an index, only cargo and its crates.

BMCLINK_LIBRARY names a libbmclink.so that is there already; cargo is not run then.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import zipfile

HERE = pathlib.Path(__file__).resolve().parent.parent
SOURCES = HERE / "src"
LIBRARY = "libbmclink.so"


def _project():
    """The simple values of [project]; tomllib is not in every Python that can use the package."""
    text = (HERE / "pyproject.toml").read_text()
    table = text.split("[project]", 1)[1].split("\n[", 1)[0]
    values = dict(re.findall(r'^([a-z-]+) = "(.*)"$', table, re.MULTILINE))
    listed = re.search(r"^classifiers = \[(.*?)\]", table, re.MULTILINE | re.DOTALL)
    values["classifiers"] = re.findall(r'"(.*)"', listed.group(1))
    return values


def _library():
    """The shared library, built unless it is said where it is."""
    chosen = os.environ.get("BMCLINK_LIBRARY")
    if chosen:
        return pathlib.Path(chosen)
    command = ["cargo", "build", "--release", "--lib", "--locked", "--message-format=json"]
    try:
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, check=False)
    except FileNotFoundError:
        sys.exit("bmclink: no cargo here: install Rust, or name a library in BMCLINK_LIBRARY")
    if done.returncode != 0:
        sys.exit("bmclink: the library does not build")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "bmclink":
            for path in message.get("filenames", []):
                if path.endswith("/" + LIBRARY):
                    return pathlib.Path(path)
    sys.exit(f"bmclink: cargo built no {LIBRARY}")


def _metadata(project):
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License: {project['license']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Classifier: {line}" for line in project["classifiers"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n\n" + (HERE / project["readme"]).read_text()


def _tag():
    # No Python is compiled: any version will do, on this kind of machine.
    return "py3-none-" + re.sub(r"[^a-z0-9_]", "_", sysconfig.get_platform())


def _write(folder, files):
    """Makes a wheel of these files, by their names in it, and gives its own name."""
    project = _project()
    version = project["version"]
    information = f"bmclink-{version}.dist-info"
    header = "Wheel-Version: 1.0\nGenerator: bmclink\nRoot-Is-Purelib: false\n"
    files = dict(files)
    files[f"{information}/METADATA"] = _metadata(project).encode()
    files[f"{information}/WHEEL"] = f"{header}Tag: {_tag()}\n".encode()
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[f"{information}/licenses/{name}"] = (HERE.parent / name).read_bytes()
    name = f"bmclink-{version}-{_tag()}.whl"
    record = []
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in sorted(files.items()):
            wheel.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{path},sha256={digest.decode()},{len(content)}")
        record.append(f"{information}/RECORD,,")
        wheel.writestr(f"{information}/RECORD", "\n".join(record) + "\n")
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """The package with its library."""
    files = {f"bmclink/{LIBRARY}": _library().read_bytes()}
    for path in SOURCES.rglob("*"):
        if path.suffix == ".py" or path.name == "py.typed":
            files[path.relative_to(SOURCES).as_posix()] = path.read_bytes()
    return _write(wheel_directory, files)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """A pointer to the sources; the library is put beside them."""
    target = SOURCES / "bmclink" / LIBRARY
    target.write_bytes(_library().read_bytes())
    return _write(wheel_directory, {"bmclink.pth": f"{SOURCES}\n".encode()})


def build_sdist(sdist_directory, config_settings=None):
    """There is none: the library is built from the checkout."""
    raise NotImplementedError("bmclink is built from a checkout: pip install ./python")
