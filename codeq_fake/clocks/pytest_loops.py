"""Give the asynchronous plugins of pytest a loop of ours: one on virtual time, or one that needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any
from unittest import IsolatedAsyncioTestCase

import pytest

from codeq_fake.compat.asyncio import LoopWithoutSockets

from .virtual_loop import VirtualTimeLoop


class _Factories:
    """The hook by which pytest-asyncio asks for the loop of a test."""

    def __init__(self, loop: type[LoopWithoutSockets]) -> None:
        self._loop = loop

    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], LoopWithoutSockets]]:
        return {"virtual" if self._loop is VirtualTimeLoop else "without sockets": self._loop}


@contextmanager
def on_our_loop(metafunc: pytest.Metafunc, *, virtual_time: bool) -> Iterator[None]:
    """Let pytest generate a test inside of this context: pytest-asyncio and anyio run it on a loop of ours.

    Either its time jumps, or it is an ordinary one that works while pytest-socket lets a test have no socket.
    """
    test = metafunc.definition
    loop = VirtualTimeLoop if virtual_time else LoopWithoutSockets
    if "anyio_backend" in metafunc.fixturenames and not _chooses_backend(test):
        backend = pytest.param(("asyncio", {"loop_factory": loop}), id="asyncio")
        test.add_marker(pytest.mark.parametrize("anyio_backend", [backend], scope="module"))
    # Registered for this test only: with the hook, pytest-asyncio would require an answer for every other test, too.
    factories = _Factories(loop)
    metafunc.config.pluginmanager.register(factories)
    try:
        yield
    finally:
        metafunc.config.pluginmanager.unregister(factories)


@contextmanager
def unittest_on_our_loop(item: pytest.Item, *, virtual_time: bool) -> Iterator[None]:
    """As `on_our_loop`, for a test of an `unittest.IsolatedAsyncioTestCase` that runs inside of this context."""
    case = getattr(item, "cls", None)
    if not (isinstance(case, type) and issubclass(case, IsolatedAsyncioTestCase)):
        yield
        return
    loop = VirtualTimeLoop if virtual_time else LoopWithoutSockets
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(case, "loop_factory"):
            patch.setattr(case, "loop_factory", loop)
        else:  # before Python 3.13
            policy = asyncio.get_event_loop_policy()  # type: ignore[deprecated]  # not yet in these versions
            patch.setattr(policy, "new_event_loop", loop)
        yield


@contextmanager
def callback_errors_to(errors: list[BaseException]) -> Iterator[None]:
    """Collect what callbacks of virtual loops raise inside of this context. asyncio would only log it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VirtualTimeLoop, "callback_errors", errors)
        yield


def is_async(test: Any) -> bool:  # noqa: ANN401 - any callable
    """Whether a test is a coroutine function, or Hypothesis's wrapper of one."""
    hypothesis = getattr(test, "hypothesis", None)
    return iscoroutinefunction(hypothesis.inner_test if hypothesis is not None else test)


def _chooses_backend(test: pytest.Item) -> bool:
    return any("anyio_backend" in str(mark.args[:1]) for mark in test.iter_markers("parametrize"))
