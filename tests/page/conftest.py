"""A fake with something to see, and an HTTP client that sends an origin as a browser does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.page.support import NOW, OWN, Hook, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.page.support import Story


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=NOW, seed=1, profile="redis", webhooks={"http://app.test": Hook()}) as made:
        yield made


@pytest.fixture
def story(fake: FakeCodeQ) -> Story:
    """The ids of the fake's tasks, by state."""
    with fake.client() as http:
        return tell(http)


@pytest.fixture
def browser(fake: FakeCodeQ) -> Iterator[httpx.Client]:
    with fake.client(base_url="http://codeq.test", headers=OWN) as client:
        yield client
