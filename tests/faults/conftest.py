"""A fake on a manual clock, and a client with all rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from codeq_fake.testing import FakeCodeQ


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    return {"profile": "redis", "now": "2026-01-31T12:00:00Z"}


@pytest.fixture
def http(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    with codeq.client() as client:
        yield client
