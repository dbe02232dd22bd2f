"""The examples of docs/how-to/faults.md run unchanged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeq_fake import faults
from codeq_fake.faults.rule import KINDS
from codeq_fake.http.faults.matching import NAMES
from tests.cli.support import environment, serving
from tests.inner_pytest import plugin_options

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "faults.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


def blocks(language: str) -> list[str]:
    return [block for found, block in FENCE.findall(TEXT) if found == language]


@pytest.mark.process
def test_each_python_example_passes(tmp_path: Path) -> None:
    examples = blocks("python")
    for n, block in enumerate(examples):
        (tmp_path / f"test_{n}.py").write_text(block, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", *plugin_options()]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
    assert re.search(rf"^{len(examples)} passed", run.stdout, re.MULTILINE), run.stdout + run.stderr


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples call curl")
@pytest.mark.parametrize("block", blocks("console"))
def test_each_call_answers_as_printed(block: str) -> None:
    with serving() as server:
        here = server.url.removeprefix("http://")
        variables = environment(CODEQ_BASE_URL=server.url, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = call.partition("\n")
            out = subprocess.run(  # noqa: S602 - the guide's own lines are shell
                command.replace("localhost:8080", here),
                shell=True,
                capture_output=True,
                text=True,
                check=True,
                env=variables,
            ).stdout
            assert out.strip() == printed.strip(), command


def test_the_file_of_the_example_is_one() -> None:
    [block] = blocks("yaml")
    assert len(faults.read_rules(block, NAMES)) == 4


def test_every_kind_and_every_name_is_in_the_guide() -> None:
    assert all(f"`{kind}(" in TEXT for kind in KINDS)
    assert all(f"`{name}`" in TEXT for name in NAMES if " " not in name)
