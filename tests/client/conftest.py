"""The fixture of most of the client's tests, and the switch for the profile of their fakes."""

from __future__ import annotations

import pytest
import pytest_asyncio

from codeq_fake.testing import FakeCodeQ
from tests.client.support import Scenario


def pytest_configure(config: pytest.Config) -> None:
    """Let `-o codeq_profile=main/redis` choose the profile of each fake of these tests, not only of the fixtures."""
    defaults = FakeCodeQ.__init__.__kwdefaults__
    assert defaults is not None
    defaults["profile"] = config.getini("codeq_profile") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests that show what the server does differently on that profile."""
    for item in items:
        for mark in item.iter_markers("differs_on"):
            profile, clause = mark.args
            if profile == config.getini("codeq_profile"):
                item.add_marker(pytest.mark.skip(reason=f"{profile} differs here ({clause})"))


@pytest_asyncio.fixture
async def scenario() -> Scenario:
    """A fake server, a manual clock and clients in the event loop of the test."""
    return Scenario()
