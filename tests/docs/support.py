"""Reads the examples of a page, and runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.inner_pytest import plugin_options

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a block that is a file says its name.
NAMED = re.compile(r"(?:#|//) ([\w./-]+\.\w+)\n")
INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks in one language."""
    return [block for found, block in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def write_files(pages: Iterable[Path], folder: Path) -> None:
    """Write the files that the pages show, and their Python blocks without a name, into a folder for pytest."""
    for page in pages:
        for number, (language, block) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            named = NAMED.match(block)
            if named or language == "python":
                file = folder / (named[1] if named else f"test_{page.stem.replace('-', '_')}_{number}.py")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block, encoding="utf-8")
    (folder / "pytest.ini").write_text(INI, encoding="utf-8")


def write_typed_examples(folder: Path) -> None:
    """Write what the client's pages show."""
    folder.mkdir()
    write_files(
        [ROOT / "client" / "README.md", DOCS / "how-to" / "workers.md", DOCS / "how-to" / "web-frameworks.md"], folder
    )


def calls(page: Path) -> list[tuple[str, str]]:
    """Each command of the page's console blocks, and what the page says it prints."""
    return [call for block in blocks(page, "console") for call in calls_of(block)]


def calls_of(block: str) -> list[tuple[str, str]]:
    """Each command of a console block, and what the page says it prints."""
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (call.partition("\n") for call in found)]


def lines(text: str) -> list[str]:
    """The lines that are not empty, without spaces at their ends."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def environment(**variables: str) -> dict[str, str]:
    """An environment in which the commands of this environment are found."""
    path = f"{Path(sys.executable).parent}:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"
    quickly = {
        "COLUMNS": "80",
        "PYTEST_ADDOPTS": " ".join(plugin_options()),
        "HYPOTHESIS_NO_PLUGINS": "1",
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1",  # half the time for a short program
        # On a new machine Go compiles its standard library first: 30 s of processor time in place of 41.
        "CGO_ENABLED": "0",
        "GOFLAGS": "'-gcflags=all=-N -l' -ldflags=-w",
    }
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), **quickly, **variables}


def shell(command: str, folder: Path, **variables: str) -> str:
    """What a line of a page prints; a failure of the command is one of the test."""
    done = subprocess.run(  # noqa: S602 - the pages' own lines are shell
        command, shell=True, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
