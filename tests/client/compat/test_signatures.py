"""Canary for `_compat.signatures`: a function whose types exist for type checkers alone has a signature."""

from __future__ import annotations

import sys
from typing import Any

from codeq_client import Registry, in_batches
from codeq_client._compat.signatures import signature

#: Before Python 3.14 a module that imports types for type checkers alone needs the first line.
SOURCE = f"""{"" if sys.version_info >= (3, 14) else "from __future__ import annotations"}
async def handle(job: Unknown, context: Unknown = None) -> Unknown:
    raise AssertionError

async def handle_all(jobs: Unknown) -> Unknown:
    raise AssertionError
"""


def functions() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(SOURCE, "handlers.py", "exec", dont_inherit=True), names)  # noqa: S102 - this file has the first line itself
    return names


def test_a_signature_needs_no_types() -> None:
    parameters = signature(functions()["handle"]).parameters
    assert list(parameters) == ["job", "context"]
    assert parameters["context"].default is None


def test_a_handler_needs_no_types() -> None:
    registry, names = Registry(), functions()
    registry.handler("ONE")(names["handle"])
    registry.handler("ALL")(in_batches(2, within=1)(names["handle_all"]))
    assert registry.commands == ("ONE", "ALL")
