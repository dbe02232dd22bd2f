"""What any command may meet: a pipe that no one reads, and an interrupt while it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def full_pipe() -> tuple[int, int]:
    """The two ends of a pipe that has no room left: for reading, and for writing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(writer, "wb", buffering=0, closefd=False) as file:
        while file.write(bytes(4096)):
            pass
    os.set_blocking(writer, True)
    return reader, writer


def interrupted_at_import(
    module: str, name: str, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """How the command `name` ends that gets Ctrl-C while this module is imported, also if its entry point is."""
    program = f"""
import os, signal, sys
from importlib.metadata import entry_points

class Finder:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

(command,) = entry_points(group="console_scripts", name={name!r})
sys.meta_path.insert(0, Finder())
sys.argv = [{name!r}, *{arguments!r}]
command.load()()
"""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, timeout=60, check=False
    )
