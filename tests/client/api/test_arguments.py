"""Arguments that cannot work are named by a ConfigurationError, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest

from codeq_client import BlockingCodeQ, CodeQ, LeaseTerms, Retry, Worker
from codeq_client.errors import ConfigurationError


def client(**settings: Any) -> BlockingCodeQ:
    def unexpected(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    defaults: dict[str, Any] = {"base_url": "http://a.test", "producer_token": "p", "worker_token": "w"}
    return BlockingCodeQ(**defaults | settings, transport=httpx.MockTransport(unexpected))


def worker(**settings: Any) -> Worker:
    return Worker(CodeQ("http://a.test", worker_token="w"), **settings)


WRONG: Any = cast("Any", None)
WRONG_ARGUMENTS: dict[str, tuple[Callable[[], object], str]] = {
    "timeout": (lambda: client(timeout=WRONG), "timeout must be a number"),
    "timeout 0": (lambda: client(timeout=0), "timeout must be a number"),
    "retries": (lambda: client(retries=1.5), "retries must be a whole number"),
    "base_url": (lambda: client(base_url=WRONG), "base_url"),
    "token": (lambda: client(worker_token=b"w"), "a token must be a string, not a bytes"),
    "token of a callable": (lambda: client(worker_token=lambda: WRONG).get("t-1"), "a token must be a string"),
    "command": (lambda: client().create(WRONG, {}), "command must be a string"),
    "delay": (lambda: client().create("X", {}, delay="5"), "delay must be a finite number"),  # type: ignore[call-overload]
    "delay of 1,000 years": (
        lambda: client().create("X", {}, delay=3e10),
        "delay must be a finite number .* 100 years",
    ),
    "run_at": (lambda: client().create("X", {}, run_at="2026-01-01"), "run_at must be a datetime"),  # type: ignore[call-overload]
    "priority": (lambda: client().create("X", {}, priority="1"), "priority must be a whole number, not '1'"),  # type: ignore[call-overload]
    "max_attempts": (lambda: client().create("X", {}, max_attempts=1.5), "max_attempts must be a whole number"),  # type: ignore[call-overload]
    "webhook": (lambda: client().create("X", {}, webhook=WRONG), "webhook must be a string"),
    "idempotency_key": (lambda: client().create("X", {}, idempotency_key=7), "idempotency_key must be a string"),  # type: ignore[call-overload]
    "commands": (lambda: client().claim([WRONG]), "each of commands must be a string"),
    "commands of a subscription": (lambda: client().subscribe("http://a.test", "X"), "commands is a string"),
    "callback_url": (lambda: client().subscribe(WRONG), "callback_url must be a string"),
    "count": (lambda: client().claim_batch(count=WRONG), "count must be a whole number"),
    "reason": (lambda: client().nack("t-1", reason=WRONG), "reason must be a string"),
    "error": (lambda: client().fail("t-1", ValueError("x")), "error must be a string"),  # type: ignore[arg-type]
    "artifact": (lambda: client().complete("t-1", {}, artifacts=["a"]), "an artifact must be an Artifact"),  # type: ignore[list-item]
    "command of statistics": (lambda: client().queue_stats(WRONG), "command must be a string"),
    "limit": (lambda: client().cleanup(limit=WRONG), "limit must be a whole number"),
    "codeq": (lambda: Worker(client()), "codeq must be a CodeQ, not a BlockingCodeQ"),  # type: ignore[arg-type]
    "hooks": (lambda: worker(hooks=WRONG), "hooks must be a list"),
    "hook": (lambda: worker(hooks=[3]), "each of hooks must be a function, not a int"),
    "middleware": (lambda: worker(middleware=["a"]), "each of middleware must be a function"),
    "only": (lambda: worker(only="X"), "only is a string; pass a list"),
    "id": (lambda: client().get(WRONG), "an id must be a string, not a NoneType; pass task.id"),
    "id of no text": (lambda: client().get("\udcff"), "cannot be an id"),
    "wait": (lambda: client().wait_for_result("t-1", timeout=WRONG), "timeout must be a number"),
    "concurrency": (lambda: worker(concurrency=WRONG), "concurrency must be a whole number"),
    "poll": (lambda: worker(poll=WRONG), "poll must be a number, 1 or more"),
    "grace": (lambda: worker(grace=WRONG), "grace must be a number"),
    "lease": (lambda: worker(lease="60"), "a lease must be"),
    "lease seconds": (lambda: LeaseTerms(WRONG), "a lease must be"),
    "max_runtime": (lambda: LeaseTerms(60, max_runtime=-1), "max_runtime must be a number"),
    "stall": (lambda: LeaseTerms(60, stall="a"), "stall must be a number"),  # type: ignore[arg-type]
    "retry": (lambda: Retry(WRONG), "delay must be a finite number"),
    "handler": (lambda: worker().handler(lambda job: job), r"use @worker\.handler\(\"COMMAND\"\)"),  # type: ignore[call-overload]
    "permanent": (lambda: worker().handler("X", permanent=["ValueError"]), "permanent must be"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize(("call", "text"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_a_wrong_argument_is_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        call()


def test_numbers_and_times_that_can_work_are_taken() -> None:
    assert client(timeout=1, retries=0).core.timeout == 1
    assert worker(concurrency=1, poll=1.5, grace=0, lease=LeaseTerms(60, max_runtime=None)).poll == 1.5
    with pytest.raises(ConfigurationError, match="either delay or run_at"):
        client().create("X", {}, delay=5, run_at=datetime(2026, 1, 1, tzinfo=UTC))
