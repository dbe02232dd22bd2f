"""Canaries for the handlers of signals: each says what an upgrade of Python or pytest-timeout has broken."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from codeq_fake.compat.signal import may_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = "pytest-timeout's handler is not known any more: it makes each call of a fake slower"
HANDLERS = "the handlers of signals cannot be seen any more: they would end a request of a blocking client halfway"


@pytest.fixture
def handled() -> Iterator[None]:
    """A program that handles SIGTERM, and goes on."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def unhandled() -> Iterator[None]:
    """A program that sets no handler. A test that served in this process may have left that of its loop."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("unhandled")
def test_ctrl_c_and_the_time_limit_of_a_test_are_final() -> None:
    assert not may_interrupt(), TIMEOUT


@pytest.mark.usefixtures("handled")
def test_the_main_thread_runs_the_handlers_of_a_program() -> None:
    assert may_interrupt(), HANDLERS
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(may_interrupt()))
    thread.start()
    thread.join()
    assert found == [False]
