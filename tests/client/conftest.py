"""The fixture of most of the client's tests."""

from __future__ import annotations

import pytest_asyncio

from tests.client.support import Scenario


@pytest_asyncio.fixture
async def scenario() -> Scenario:
    """A fake server, a manual clock and clients in the event loop of the test."""
    return Scenario()
