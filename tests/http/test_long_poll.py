"""Long polls (K2, K9), also with clients that hang up."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake import faults
from codeq_fake.clocks import let_tasks_run
from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, IDENTITIES, NOW, SUBSCRIPTIONS, TASKS, Connection, ask, bearer, request_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message

pytestmark = pytest.mark.asyncio


@pytest.fixture
def fake() -> FakeCodeQ:
    return FakeCodeQ(identities=IDENTITIES, now=NOW, profile="redis", seed=1)


class Poll:
    """A claim for the command A, parked unless it is answered at once."""

    def __init__(self, client: Connection, serving: asyncio.Task[None]) -> None:
        self.client = client
        self.serving = serving

    @classmethod
    async def begin(cls, fake: FakeCodeQ, wait_seconds: int = 30, *, token: str = "worker") -> Poll:
        client = Connection([json.dumps({"commands": ["A"], "waitSeconds": wait_seconds}).encode()])

        async def serve() -> None:
            await fake.app(request_scope("POST", CLAIM, bearer(token)), client.receive, client.send)

        begun = cls(client, asyncio.create_task(serve()))
        await let_tasks_run()
        return begun

    @property
    def status(self) -> int | None:
        """The status of the reply, None while there is none."""
        return self.client.answer().status if self.serving.done() else None

    @property
    def task(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.answer().json
        return answer


async def create(fake: FakeCodeQ, **request: Any) -> str:
    body = json.dumps({"command": "A", "payload": 1, **request}).encode()
    made = await ask(fake.app, "POST", TASKS, [body], bearer("producer"))
    task_id: str = made.json["id"]
    return task_id


async def test_k9_a_claim_that_finds_a_task_does_not_wait(fake: FakeCodeQ) -> None:
    task = await create(fake)
    claim = await Poll.begin(fake)
    assert (claim.status, claim.task["id"]) == (200, task)


@pytest.mark.parametrize("wait_seconds", [0, -1, -(2**63)])
async def test_k2_without_a_positive_wait_the_claim_is_answered_at_once(fake: FakeCodeQ, wait_seconds: int) -> None:
    assert (await Poll.begin(fake, wait_seconds)).status == 204


@pytest.mark.parametrize("wait_seconds", [1, 2, 29, 30])
async def test_k9_a_claim_waits_until_its_deadline(fake: FakeCodeQ, wait_seconds: int) -> None:
    claim = await Poll.begin(fake, wait_seconds)
    await fake.aadvance(wait_seconds - 0.000_000_001)
    assert claim.status is None
    await fake.aadvance(0.000_000_001)
    assert claim.status == 204


@pytest.mark.parametrize("wait_seconds", [31, 3600, 2**63 - 1])
async def test_k2_the_wait_is_capped_at_30_seconds(fake: FakeCodeQ, wait_seconds: int) -> None:
    claim = await Poll.begin(fake, wait_seconds)
    await fake.aadvance(29.999)
    assert claim.status is None
    await fake.aadvance(0.001)
    assert claim.status == 204


async def test_k9_it_tries_again_every_250_milliseconds(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    await fake.aadvance(0.250)
    task = await create(fake)
    await fake.aadvance(0.249)
    assert (claim.status, fake.task(task).status) == (None, "PENDING")
    await fake.aadvance(0.001)
    assert (claim.status, claim.task["id"]) == (200, task)
    assert fake.task(task).history[-1]["at"] == "2026-11-24T06:15:00.5Z"


async def test_k9_the_tries_are_timed_from_the_start_of_the_claim(fake: FakeCodeQ) -> None:
    await fake.aadvance(0.1)
    claim = await Poll.begin(fake)
    task = await create(fake)
    await fake.aadvance(60)
    assert claim.status == 200
    assert fake.task(task).history[-1]["at"] == "2026-11-24T06:15:00.35Z"


async def test_k9_the_last_try_is_at_the_deadline(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake, 1)
    await fake.aadvance(0.999)
    task = await create(fake)
    await fake.aadvance(0.001)
    assert (claim.status, claim.task["id"]) == (200, task)


async def test_k9_the_lease_starts_with_the_try_that_finds_the_task(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    await create(fake, delaySeconds=10)
    await fake.aadvance(20)
    assert claim.task["leaseUntil"] == "2026-11-24T06:20:10Z"
    assert claim.task["updatedAt"] == "2026-11-24T03:15:10-03:00"


async def test_k7_each_try_repairs(fake: FakeCodeQ) -> None:
    fake.next(delays=[3])
    task = await create(fake)
    assert (await Poll.begin(fake, token="other")).status == 200
    fake.expire(task)
    claim = await Poll.begin(fake)
    assert fake.task(task).location == "DELAYED_ZSET"
    await fake.aadvance(3)
    assert (claim.status, claim.task["id"], claim.task["attempts"]) == (200, task, 3)


async def test_k9_the_first_of_two_waiting_claims_gets_the_first_task(fake: FakeCodeQ) -> None:
    first, second = await Poll.begin(fake), await Poll.begin(fake, token="other")
    tasks = [await create(fake) for _ in range(2)]
    await fake.aadvance(0.25)
    assert [(claim.status, claim.task["id"]) for claim in (first, second)] == [(200, task) for task in tasks]


async def test_k9_an_answered_poll_does_not_try_again(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    await create(fake)
    await fake.aadvance(0.25)
    assert claim.status == 200
    late = await create(fake)
    await fake.aadvance(60)
    assert fake.task(late).status == "PENDING"


async def test_k9_a_refusal_does_not_wait(fake: FakeCodeQ) -> None:
    assert (await Poll.begin(fake, token="packer")).status == 403
    assert (await Poll.begin(fake, token="nameless")).status == 500


async def test_a_client_that_hangs_up_gets_no_task(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    task = await create(fake)
    claim.client.gone.set()
    await fake.aadvance(60)
    assert claim.serving.done()
    assert (fake.task(task).status, fake.task(task).attempts) == ("PENDING", 0)


async def test_a_client_whose_request_is_cancelled_gets_no_task(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    task = await create(fake)
    claim.serving.cancel()
    await fake.aadvance(60)
    assert claim.serving.cancelled()
    assert claim.client.sent == []
    assert (fake.task(task).status, fake.task(task).attempts) == ("PENDING", 0)


async def test_after_a_client_hangs_up_the_next_one_gets_the_task(fake: FakeCodeQ) -> None:
    first, second = await Poll.begin(fake), await Poll.begin(fake, token="other")
    task = await create(fake)
    first.client.gone.set()
    await fake.aadvance(0.25)
    assert (second.status, second.task["id"], second.task["workerId"]) == (200, task, "w-2")


async def test_a_request_with_an_incomplete_body_has_no_effect(fake: FakeCodeQ) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"command":"A","payload":1}', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    client, before = Connection(), fake.state()
    await fake.app(request_scope("POST", TASKS, bearer("producer")), receive, client.send)
    assert (client.sent, fake.state(), fake.requests) == ([], before, [])


async def test_a_reset_ends_parked_polls_without_a_task(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    fake.reset()
    await let_tasks_run()
    assert claim.status == 204


async def test_a_reset_while_a_body_arrives_loses_no_task(fake: FakeCodeQ) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"command":"A",'
        fake.reset()
        yield b'"payload":1}'

    answer = await ask(fake.app, "POST", TASKS, body(), bearer("producer"))
    assert answer.status == 202
    assert [task.id for task in fake.tasks()] == [answer.json["id"]]


async def test_thirty_seconds_pass_at_once(fake: FakeCodeQ) -> None:
    claims = [await Poll.begin(fake) for _ in range(100)]
    await fake.aadvance(30)
    assert [claim.status for claim in claims] == [204] * 100


async def test_a_poll_beside_a_notice_sees_the_task(fake: FakeCodeQ) -> None:
    claim = await Poll.begin(fake)
    body = b'{"callbackUrl":"http://203.0.113.1/","eventTypes":["A"]}'  # blocked, but tried
    assert (await ask(fake.app, "POST", SUBSCRIPTIONS, [body], bearer("worker"))).status == 200
    await create(fake)
    await fake.aadvance(0.25)
    assert claim.status == 200


@pytest.mark.parametrize("left", ["59.9", "59", "40", "59.999999999"])
async def test_a_poll_ends_with_the_year_9999(left: str) -> None:
    fake = FakeCodeQ(identities=IDENTITIES, now=f"9999-12-31T23:59:{left}Z")
    claim = await Poll.begin(fake)
    await fake.aadvance(to="9999-12-31T23:59:59.999999999Z")
    assert claim.status == 204
    assert (await Poll.begin(fake)).status == 204


async def test_a_real_clock_at_the_end_of_time_ends_a_poll() -> None:
    fake = FakeCodeQ(identities=IDENTITIES, clock="real", now="9999-12-31T23:59:59.9Z")
    claims = [await Poll.begin(fake) for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*(claim.serving for claim in claims)), 5)
    assert [claim.status for claim in claims] == [204, 204]


async def test_a_fault_holds_a_request_no_longer_than_to_the_end_of_time() -> None:
    fake = FakeCodeQ(identities=IDENTITIES, now="9999-12-31T23:59:59Z")
    with fake.faults(faults.delay(5)):
        held = asyncio.create_task(create(fake))
        await let_tasks_run()
        assert not held.done()
        await fake.aadvance(to="9999-12-31T23:59:59.999999999Z")
        await asyncio.wait_for(held, 5)
        await asyncio.wait_for(create(fake), 5)
