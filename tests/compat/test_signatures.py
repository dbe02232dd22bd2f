"""Canary for `compat.signatures`: a function whose types exist for type checkers alone has a signature."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from codeq_fake.compat.signatures import signature
from codeq_fake.simulation import simulate
from codeq_fake.testing import FakeCodeQ

#: Before Python 3.14 a module that imports types for type checkers alone needs the first line.
SOURCE = f"""{"" if sys.version_info >= (3, 14) else "from __future__ import annotations"}
async def app(scope: Unknown, receive: Unknown, send: Unknown = None) -> Unknown:
    raise AssertionError
"""


@pytest.fixture
def app() -> Any:
    names: dict[str, Any] = {}
    exec(compile(SOURCE, "app.py", "exec", dont_inherit=True), names)  # noqa: S102 - this file has the first line itself
    return names["app"]


def test_a_signature_needs_no_types(app: Any) -> None:
    assert list(signature(app).parameters) == ["scope", "receive", "send"]
    assert signature(app).parameters["send"].default is None


def test_what_users_hand_over_needs_no_types(app: Any) -> None:
    simulate(runs=1)(app)
    FakeCodeQ(webhooks={"http://app.test": app})
