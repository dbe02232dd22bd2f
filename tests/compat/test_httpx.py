"""Canaries for the insides of httpx: each says what an upgrade has broken."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "httpx no longer loads without its command: `codeq-fake serve` takes a tenth of a second more to load it"
PROGRAM = """
import sys
{load}
import httpx
print(httpx.Client.__name__, *sorted({{"rich", "pygments"}} & set(sys.modules)))
"""


def modules_after(load: str) -> str:
    program = PROGRAM.format(load=load)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.process
def test_httpx_loads_without_its_command() -> None:
    assert modules_after("from codeq_fake.compat import httpx; httpx.load(); httpx.load()") == "Client", LOADED
    assert modules_after("") == "Client pygments rich", "httpx does without rich: `compat.httpx` is no longer needed"
