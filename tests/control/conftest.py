"""A fake at a fixed time for each test of the control API, and its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.control.support import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from codeq_fake.testing import FakeCodeQ


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    return {"now": NOW, "profile": "redis", "seed": 1}


@pytest.fixture
def http(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    with codeq.client() as client:
        yield client
