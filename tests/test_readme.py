"""The README's examples, run as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVE, *_ = (block for language, block in FENCE.findall(TEXT) if language == "console" and "codeq-fake serve" in block)

INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the README's examples call curl")


def blocks(language: str) -> list[str]:
    return [block for found, block in FENCE.findall(TEXT) if found == language]


def commands(block: str) -> list[tuple[str, str]]:
    """Each command of a console block, and what the README says it prints."""
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (one.partition("\n") for one in found)]


def environment() -> dict[str, str]:
    return {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}


def shell(command: str) -> str:
    """What a line of the README prints."""
    run = subprocess.run(  # noqa: S602 - the README's own lines are shell
        command, shell=True, capture_output=True, text=True, check=True, env=environment()
    )
    return run.stdout.rstrip("\n")


@pytest.fixture
def served() -> Iterator[tuple[str, str]]:
    """The README's server on a free port: its first line, and its address."""
    [(command, _)] = commands(SERVE)
    process = subprocess.Popen([*command.split(), "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield line, line.split()[0].removeprefix("http://127.0.0.1:")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("block", blocks("python"))
def test_each_python_example_passes(block: str, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(block, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "test_example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"^\d+ passed", run.stdout, re.MULTILINE), run.stdout + run.stderr


@needs_curl
def test_each_call_answers_as_printed(served: tuple[str, str]) -> None:
    line, port = served
    [(_, printed)] = commands(SERVE)
    assert line.replace(f":{port} ", ":8080 ") == printed
    calls = next(block for block in blocks("console") if "localhost:8080" in block)
    for command, printed in commands(calls):
        out = shell(command.replace("localhost:8080", f"localhost:{port}"))
        assert out == printed.rstrip("\n"), command


@needs_curl
def test_a_command_beside_a_fake_finds_it() -> None:
    block = next(block for block in blocks("console") if "codeq-fake run" in block)
    [(command, printed)] = commands(block)
    assert shell(command) == printed.rstrip("\n")


def test_the_identities_of_the_example_are_taken(tmp_path: Path) -> None:
    [example] = blocks("yaml")
    file = tmp_path / "identities.yaml"
    file.write_text(example, encoding="utf-8")
    command = ["codeq-fake", "run", "--identities", str(file), "--", sys.executable, "-c"]
    program = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('CODEQ_')}))"
    run = subprocess.run([*command, program], capture_output=True, text=True, check=True, env=environment())
    told = json.loads(run.stdout)
    assert told["CODEQ_PRODUCER_TOKEN"] == "billing"
    assert told["CODEQ_ADMIN_TOKEN"] == "operator"
    assert told["CODEQ_WORKER_TOKEN"] == "worker-1"
