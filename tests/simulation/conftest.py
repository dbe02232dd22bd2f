"""The fixture of tests that need no world, only the history of a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.worlds import Run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def run() -> Iterator[Run]:
    """A run on a fake whose clock the test moves."""
    with Run() as run:
        yield run
