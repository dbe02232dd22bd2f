"""A fake at a fixed instant, and threads to call it from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=NOW, profile="redis", seed=1) as made:
        yield made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool
