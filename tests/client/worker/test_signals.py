"""Signals: they stop the worker, and are neither taken from the application nor from child processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from codeq_client._worker.signals import pause_on_signals, stop_on_signals


@pytest.fixture
def of_application() -> Iterator[list[int]]:
    """What the signal handler of an application received."""
    received: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, previous)


def test_an_application_keeps_its_signals_while_a_worker_runs_in_it(of_application: list[int]) -> None:
    stops: list[int] = []
    with stop_on_signals(lambda: stops.append(1)):
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
    assert (of_application, len(stops)) == ([signal.SIGTERM] * 2, 2)


def test_a_handler_that_the_application_set_later_stays(of_application: list[int]) -> None:
    def later(_number: int, _frame: object) -> None: ...

    with stop_on_signals(lambda: None):
        signal.signal(signal.SIGTERM, later)
    assert signal.getsignal(signal.SIGTERM) is later
    assert not of_application


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2], ids=str)
def test_a_child_process_of_a_handler_is_ended_by_signals(number: signal.Signals) -> None:
    with stop_on_signals(lambda: None), pause_on_signals(lambda: None, lambda: None):
        pid = os.fork()
        if not pid:
            os.kill(os.getpid(), number)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -number
