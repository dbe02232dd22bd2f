"""The stream of events that tells a page about changes."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake.runtime import live_updates
from codeq_fake.runtime.live_updates import LiveUpdates
from tests.http.support import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_fake.testing import FakeCodeQ

EVENTS = "/_fake/page/events"


def next_event(lines: Iterator[str]) -> str:
    """The next line of the stream that says something."""
    return next(line for line in lines if line)


@pytest.mark.port
def test_a_viewer_gets_an_event_at_once_and_for_each_change(fake: FakeCodeQ) -> None:
    with fake.serve(), httpx.stream("GET", fake.url + EVENTS, timeout=60, trust_env=False) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        lines = reply.iter_lines()
        assert [next_event(lines), next_event(lines)] == ["retry: 300", "data: look"]
        for change in (lambda: fake.enqueue("A"), lambda: fake.advance(1), fake.thaw):
            change()
            assert next_event(lines) == "data: look"


@pytest.mark.asyncio
async def test_who_asks_for_the_head_of_the_stream_only_may_go_on_at_once(fake: FakeCodeQ) -> None:
    answer = await asyncio.wait_for(ask(fake.app, "HEAD", EVENTS), 5)
    assert answer.headers[b"content-type"].startswith(b"text/event-stream")


@pytest.mark.port
def test_a_server_that_stops_ends_its_event_streams(fake: FakeCodeQ) -> None:
    seen: list[str] = []
    looking = threading.Event()

    def look() -> None:
        with httpx.stream("GET", fake.url + EVENTS, timeout=60, trust_env=False) as reply:
            for line in reply.iter_lines():
                seen.append(line)
                looking.set()

    with fake.serve():
        watcher = threading.Thread(target=look)
        watcher.start()
        assert looking.wait(60)
    watcher.join(60)
    assert not watcher.is_alive()
    assert seen[-1] == ""  # the stream ended between two events, and not by an error


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_updates, "INTERVAL", 0.0001)


@pytest.mark.asyncio
@pytest.mark.usefixtures("quick")
async def test_a_watcher_gets_changes_and_regular_events() -> None:
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        return looks >= 4

    told: list[int] = []
    async with aclosing(LiveUpdates().watch(look)) as changes:
        for _ in range(3):
            await anext(changes)
            told.append(looks)
    assert told == [1, 4, 17]


@pytest.mark.asyncio
@pytest.mark.usefixtures("quick")
async def test_watchers_that_are_released_end() -> None:
    known = LiveUpdates()
    told = [asyncio.Event() for _ in range(3)]

    async def watch(is_told: asyncio.Event) -> None:
        async for _ in known.watch(lambda: 1):
            is_told.set()

    watching = [asyncio.create_task(watch(is_told)) for is_told in told]
    await asyncio.gather(*(is_told.wait() for is_told in told))
    known.release()
    await asyncio.gather(*watching)
