"""The private names of httpx that the suite uses are still there, and still do what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.process
def test_httpx_is_imported_without_its_command() -> None:
    program = """
import sys
from codeq_contract.compat.httpx import import_without_command
import_without_command()
import httpx
with httpx.Client(verify=False, transport=httpx.MockTransport(lambda _: httpx.Response(204))) as http:
    print(http.get("http://a.test").status_code, {"click", "pygments", "rich"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    broken = "httpx no longer imports its command from httpx._main, or needs it: each start of the suite is slower now"
    assert done.stdout == "204 set()\n", broken
