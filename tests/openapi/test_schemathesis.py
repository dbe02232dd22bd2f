"""Schemathesis makes calls from the OpenAPI document, and the fake answers as the document says.

Its plugin takes a second to load and three to collect. So it runs once, in a separate process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codeq_fake.openapi import document

CALLS = Path(__file__).with_name("schemathesis_calls.py")


@pytest.mark.process
@pytest.mark.slow(seconds=15)
def test_the_fake_answers_as_documented() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "schemathesis.pytest.plugin", str(CALLS)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    operations = sum(len(path.keys() - {"parameters"}) for path in document()["paths"].values())
    assert f"{operations} passed" in run.stdout, "each operation is tried"
