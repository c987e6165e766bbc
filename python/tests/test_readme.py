"""The programs of the README, and what it says of names."""

from __future__ import annotations

import re

import pytest

from conftest import CHECKOUT, run_program

TEXT = (CHECKOUT / "python" / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_programs() -> None:
    assert len(PROGRAMS) == 7


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_the_programs_run(program: str) -> None:
    done = run_program(program)
    assert done.returncode == 0 and done.stderr == "", done.stderr
