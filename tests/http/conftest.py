"""A fake in process on a manual clock, and a blocking client for each of its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.support import IDENTITIES, NOW, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from codeq_fake.testing import FakeCodeQ


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    return {"identities": IDENTITIES, "now": NOW, "profile": "redis", "seed": 1}


@pytest.fixture
def producer(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    with codeq.client("producer") as client:
        yield client


@pytest.fixture
def admin(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    with codeq.client("admin") as client:
        yield client


@pytest.fixture
def worker(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    """The worker `w-1`."""
    with codeq.client("worker") as client:
        yield client


@pytest.fixture
def other(codeq: FakeCodeQ) -> Iterator[httpx.Client]:
    """The worker `w-2`."""
    with codeq.client("other") as client:
        yield client


@pytest.fixture(scope="session")
def full_state() -> bytes:
    """The state of a fake that holds something in each place."""
    return fill()
