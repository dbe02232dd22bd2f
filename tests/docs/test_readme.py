"""README.md and the first server of the tutorial: each command prints what is shown."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from .support import DOCS, ROOT, blocks, calls, calls_of, environment, shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

README = ROOT / "README.md"
FIRST_SERVER = DOCS / "tutorial" / "first-server.md"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples call curl")


@pytest.fixture
def served() -> Iterator[tuple[str, str]]:
    """The README's server on a free port: its first line, and its port."""
    command, _ = calls(README)[0]
    process = subprocess.Popen([*command.split(), "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield line, line.split()[0].removeprefix("http://127.0.0.1:")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 200


@needs_curl
def test_each_call_answers_as_printed(served: tuple[str, str], tmp_path: Path) -> None:
    line, port = served
    (_, printed), *_ = calls(README)
    assert line.replace(f":{port}", ":8080") == printed
    start, session = blocks(FIRST_SERVER, "console")
    assert calls_of(start) == calls(README)[:1]
    for command, printed in calls_of(session):
        out = shell(command.replace("localhost:8080", f"localhost:{port}"), tmp_path)
        assert out.rstrip("\n") == printed.rstrip("\n"), command


@needs_curl
def test_a_command_beside_a_fake_finds_it(tmp_path: Path) -> None:
    _, (command, printed) = calls(README)
    assert shell(command, tmp_path).rstrip("\n") == printed.rstrip("\n")
