"""Which version a server is, found out by asking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from codeq_contract.driver import Driver, Reply, Request, Setup
from codeq_contract.driver.detection import detect, of_its_version
from codeq_contract.driver.interface import Transport
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.suite.case_context import CaseContext


@dataclass(frozen=True)
class Changed:
    """A transport that changes the replies to some requests."""

    transport: Transport
    is_changed: Callable[[Request], bool]

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        replies = self.transport.exchange(requests, schedule)
        return [
            replace(reply, status=404, body=b"404 page not found") if self.is_changed(request) else reply
            for request, reply in zip(requests, replies, strict=True)
        ]


def on(version: str, act: Callable[[Driver], object]) -> object:
    with InProcessTarget("redis", version=version).start(Setup()) as driver:
        return act(driver)


@pytest.mark.parametrize(
    ("version", "signs"),
    [
        ("v0.3.3", "no status of Raft, no topics, no wait for results"),
        ("main", "status of Raft, topics, wait for results"),
    ],
)
def test_a_server_says_which_version_it_is(version: str, signs: str) -> None:
    def act(driver: Driver) -> None:
        found = detect(driver)
        assert (found.version, found.signs) == (version, signs)

    on(version, act)


def test_a_server_with_the_embedded_store_shows_it() -> None:
    with InProcessTarget("pebble", version="main").start(Setup()) as driver:
        found = detect(driver)
    signs = "status of Raft, topics, wait for results, no gauges of queues"
    assert (found.version, found.store, found.signs) == ("main", "pebble", signs)


@pytest.mark.parametrize("store", ["", "any", "pebble"])
def test_a_server_is_checked_as_what_it_shows(store: str) -> None:
    with InProcessTarget("pebble", version="main").start(Setup()) as driver:
        found = of_its_version(driver, "", store)
    assert (found.version, found.time_bounds.profile) == ("main", "pebble")
    assert found.about["contract"].startswith("main/pebble, as the server shows: status of Raft")


def test_a_chosen_store_that_the_server_contradicts_is_refused() -> None:
    contradiction = (
        "--profile: found redis, but the server shows pebble: status of Raft, topics, wait for results, no g"
    )
    with InProcessTarget("pebble", version="main").start(Setup()) as driver, pytest.raises(NotRunError) as refused:
        of_its_version(driver, "", "redis")
    assert str(refused.value).startswith(contradiction)


def test_a_server_that_is_neither_is_not_checked_as_either() -> None:
    def act(driver: Driver) -> None:
        server = replace(driver, transport=Changed(driver.transport, lambda request: "topics" in request.path))
        with pytest.raises(NotRunError, match=r"neither v0\.3\.3 nor main: found status of Raft, no topics, wait for"):
            detect(server)

    on("main", act)


def test_the_question_leaves_no_task_that_waits() -> None:
    def act(driver: Driver) -> None:
        created: list[str] = []

        def note(request: Request) -> bool:
            if request.path.endswith("/result?waitSeconds=1"):
                created.append(request.path.split("/")[4])
            return False

        detect(replace(driver, transport=Changed(driver.transport, note)))
        [task] = created
        assert CaseContext(driver).producer.seen(task)["status"] == "COMPLETED"

    on("main", act)
