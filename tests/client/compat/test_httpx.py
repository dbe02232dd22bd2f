"""The private name of httpx that the client's commands use is still there, and still does what they need."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.process
@pytest.mark.parametrize("command", ["main", "codeq"])
def test_a_command_loads_httpx_without_its_command(command: str) -> None:
    program = (
        f"import sys, codeq_worker\nsys.argv = ['it', '--help']\n"
        f"try: codeq_worker.{command}()\nexcept SystemExit: pass\n"
        f"print({{'httpx', 'pygments', 'rich'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    broken = "httpx no longer imports its command from httpx._main: each start of a worker takes a quarter longer now"
    assert done.stdout.splitlines()[-1] == "{'httpx'}", broken
