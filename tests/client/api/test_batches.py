"""Batches when a part of them fails: nothing is created twice, an outage ends them, and items are separate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from codeq_client import Artifact, NewTask, Submission, Task
from codeq_client._api import operations
from codeq_client._api.sending import Send
from codeq_client.errors import BadReply, ConfigurationError, EncodeError, Unauthorized, Unavailable
from tests.client.api.support import LOST, TASK, UNREACHED, Reply, ScriptedServer, refusal, reply
from tests.client.support import Scenario, reply_lost

CREATED = {"results": [{"task": TASK}] * 100}


@pytest.mark.asyncio
@pytest.mark.parametrize("by_index", [False, True], ids=["the rejected items", "the same items"])
async def test_rejected_items_that_are_sent_again_create_no_task_twice(scenario: Scenario, *, by_index: bool) -> None:
    tasks = [NewTask(command="X", payload={"n": n}) for n in range(250)]
    scenario.network.fail("claim", None, *[reply_lost] * 4, None)  # that is how the network calls a batch
    batch = await scenario.finished(scenario.codeq.create_batch(tasks))
    assert [item.index for item in batch.rejected] == list(range(100, 200))
    again = [tasks[item.index] if by_index else item.item for item in batch.rejected]
    assert len((await scenario.codeq.create_batch(again)).all()) == 100
    assert len(scenario.fake.tasks()) == 250


@pytest.mark.asyncio
async def test_an_item_that_was_accepted_creates_another_task_when_it_is_used_again(scenario: Scenario) -> None:
    template = NewTask(command="X", payload={})
    for _ in range(2):
        await scenario.codeq.create_batch([template] * 3)
    assert len(scenario.fake.tasks()) == 6


def test_the_progress_of_a_batch_is_told_after_each_request() -> None:
    server = ScriptedServer([reply(200, CREATED), reply(200, CREATED), *[UNREACHED] * 4])
    told: list[tuple[int, int]] = []
    new = [NewTask(command="X", payload={})] * 250 + [NewTask(command="X", payload=None)]
    server.run(operations.create_batch(server.core, new, progress=lambda done, total: told.append((done, total))))
    assert told == [(100, 251), (201, 251), (251, 251)]


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([reply(200, CREATED), *[UNREACHED] * 4], 5),
        ([reply(200, CREATED), *[refusal(503, "down")] * 8], 9),
        ([reply(200, CREATED), *[LOST] * 8], 9),
        ([reply(200, CREATED), refusal(401, "invalid token")], 2),
    ],
    ids=["unreachable", "503", "no replies", "401"],
)
def test_an_outage_ends_a_batch(answers: list[Any], requests: int) -> None:
    server = ScriptedServer(answers)
    batch = server.run(operations.create_batch(server.core, [NewTask(command="X", payload={})] * 2_000))
    assert (len(server.sent), len(batch.accepted), len(batch.rejected)) == (requests, 100, 1_900)
    last = batch.rejected[-1].error
    assert isinstance(last, Unavailable)
    assert not last.sent
    assert str(last) == f"not sent, because of an earlier error: {batch.outage}"


class Noted:
    """A value that notes when it is encoded."""

    def __init__(self, told: list[str], number: int) -> None:
        self.told = told
        self.number = number

    def model_dump(self, **_options: Any) -> int:
        self.told.append(f"encoded {self.number}")
        return self.number


def at_once(answer: Any) -> Any:
    return answer


def prepared(answer: Any) -> Any:
    """Answer when the next part is prepared."""

    def reply_to(send: Send) -> Any:
        assert send.meanwhile
        send.meanwhile()
        return answer

    return reply_to


@pytest.mark.parametrize("lost", [LOST, UNREACHED, refusal(400, "no")], ids=["lost", "unreached", "refused"])
def test_a_part_that_fails_while_the_next_one_is_prepared_has_the_outcome_of_any_other(lost: Any) -> None:
    def outcome(answer: Callable[[Any], Any]) -> object:
        answers = [reply(200, CREATED), *[lost] * (1 if isinstance(lost, Reply) else 4), reply(200, CREATED)]
        server = ScriptedServer([answer(each) for each in answers])
        told: list[tuple[int, int]] = []
        tasks = [NewTask(command="X", payload=n or None, idempotency_key=str(n)) for n in range(301)]
        batch = server.run(operations.create_batch(server.core, tasks, progress=lambda *done: told.append(done)))
        return [str(item) for item in batch.items], server.bodies(), told, str(batch.outage)

    assert outcome(prepared) == outcome(at_once)


def test_only_the_next_part_of_a_batch_is_encoded_in_advance() -> None:
    told: list[str] = []

    def answer(_send: Send) -> Any:
        told.append("sent")
        return reply(200, CREATED)

    server = ScriptedServer([answer] * 3)
    server.run(operations.create_batch(server.core, [NewTask(command="X", payload=Noted(told, n)) for n in range(300)]))
    assert [index for index, what in enumerate(told) if what == "sent"] == [100, 201, 302]


@pytest.mark.asyncio
async def test_the_next_part_is_encoded_while_the_server_has_this_one(scenario: Scenario) -> None:
    told: list[str] = []

    async def answer(_request: Any, forward: Any) -> Any:
        response = await forward()
        await asyncio.sleep(0.05)
        told.append("answered")
        return response

    scenario.network.fail("claim", answer)  # that is how the network calls a batch
    tasks = [NewTask(command="X", payload=Noted(told, n)) for n in range(200)]
    assert len((await scenario.codeq.create_batch(tasks)).all()) == 200
    assert [index for index, what in enumerate(told) if what == "answered"] == [200, 201]
    assert [task.payload for task in scenario.fake.tasks()] == list(range(200))


@pytest.mark.asyncio
async def test_a_batch_that_is_cancelled_keeps_the_keys_of_what_may_have_been_created(scenario: Scenario) -> None:
    created = asyncio.Event()

    async def hang(_request: Any, forward: Any) -> Any:
        await forward()
        created.set()
        await asyncio.sleep(3600)

    scenario.network.fail("claim", None, hang, None, None, None)
    tasks = [NewTask(command="X", payload=n) for n in range(1, 301)]
    batch = asyncio.create_task(scenario.codeq.create_batch(tasks))
    await created.wait()
    await asyncio.sleep(0.01)  # the third part is encoded now
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert len(scenario.fake.tasks()) == 200
    assert len((await scenario.codeq.create_batch(tasks)).all()) == 300
    assert len(scenario.fake.tasks()) == 300


class Interrupt(BaseException):
    """An exception of the user's code that is no error, such as a Ctrl-C."""


class Interrupting:
    def model_dump(self, **_options: Any) -> Any:
        raise Interrupt


@pytest.mark.asyncio
async def test_an_interrupt_while_the_next_part_is_encoded_reaches_the_caller(scenario: Scenario) -> None:
    async def answer(_request: Any, forward: Any) -> Any:
        response = await forward()
        await asyncio.sleep(0.01)
        return response

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    scenario.network.fail("claim", answer)
    payloads: list[Any] = [1] * 250
    payloads[120] = Interrupting()
    with pytest.raises(Interrupt):
        await scenario.codeq.create_batch(NewTask(command="X", payload=payload) for payload in payloads)


class Refusing:
    def model_dump(self, **_options: Any) -> Any:
        raise ZeroDivisionError("no such price")


def test_an_item_whose_type_cannot_be_serialized_is_rejected_alone() -> None:
    server = ScriptedServer([reply(200, {"results": [{"task": TASK}] * 2})])
    payloads: list[Any] = [{}, Refusing(), {}]
    tasks = [NewTask(command="X", payload=payload) for payload in payloads]
    batch = server.run(operations.create_batch(server.core, tasks))
    (rejected,) = batch.rejected
    assert (rejected.index, type(rejected.error), len(batch.accepted)) == (1, EncodeError, 2)
    assert "ZeroDivisionError: no such price" in str(rejected.error)


@pytest.mark.parametrize(
    "answer", [{"task": {"id": 5}}, {"task": [1]}, "none", None, {"task": {**TASK, "createdAt": 1}}]
)
def test_an_answer_to_an_item_that_cannot_be_read_is_a_rejection(answer: Any) -> None:
    server = ScriptedServer([reply(200, {"results": [{"task": TASK}, answer]})])
    batch = server.run(operations.create_batch(server.core, [NewTask(command="X", payload={})] * 2))
    assert (len(batch.accepted), type(batch.rejected[0].error)) == (1, BadReply)


def test_rejections_alone_are_no_outage() -> None:
    server = ScriptedServer([reply(200, {"results": [{"task": TASK}, {"error": "invalid command"}]})])
    batch = server.run(operations.create_batch(server.core, [NewTask(command="X", payload={})] * 2))
    assert (len(batch.rejected), batch.outage) == (1, None)


class SilentServer(ScriptedServer):
    """A server that answers the first `answers`, and takes all further requests without ever answering."""

    def __init__(self, *answers: Any) -> None:
        super().__init__([*answers, *[self._silence] * 99])

    def _silence(self, send: Send) -> Any:
        self.clock.now += send.timeout
        return LOST


@pytest.mark.parametrize("answered", [0, 1])
def test_a_batch_is_given_up_after_a_minute_without_an_answer(answered: int) -> None:
    server = SilentServer(*[reply(200, CREATED)] * answered)
    began = server.clock.now
    batch = server.run(operations.create_batch(server.core, [NewTask(command="X", payload={})] * 250))
    assert len(batch.rejected) == 250 - 100 * answered
    assert 60 <= server.clock.now - began <= 65
    assert "not sent, because of an earlier error" in str(batch.rejected[-1].error)


CLAIMED = Task(id="t-1", command="X", status="IN_PROGRESS", attempts=1)


@pytest.mark.parametrize("items", [[Submission(CLAIMED)], [Submission("t-1")]], ids=["together", "alone"])
def test_a_batch_of_results_is_given_up_after_a_minute_without_an_answer(items: list[Submission]) -> None:
    server = SilentServer()
    began = server.clock.now
    batch = server.run(operations.submit_batch(server.core, items * 250))
    assert len(batch.rejected) == len(items) * 250
    assert server.clock.now - began <= 65


@pytest.mark.asyncio
async def test_a_batch_of_which_no_part_was_answered_can_be_sent_again_from_its_rejections(scenario: Scenario) -> None:
    scenario.network.fail("claim", *[reply_lost] * 4)  # that is how the network calls a batch
    batch = await scenario.finished(scenario.codeq.create_batch(NewTask(command="X", payload=n) for n in range(1, 50)))
    assert (len(batch.accepted), len(batch.rejected)) == (0, 49)
    assert len((await scenario.codeq.create_batch(item.item for item in batch.rejected)).all()) == 49
    assert len(scenario.fake.tasks()) == 49


@pytest.mark.parametrize("answers", [[UNREACHED] * 4, [refusal(401, "invalid token")]], ids=["unreachable", "401"])
def test_a_batch_that_certainly_created_nothing_is_an_error(answers: list[Any]) -> None:
    server = ScriptedServer(answers)
    with pytest.raises((Unavailable, Unauthorized), match=r"refused|invalid token"):
        server.run(operations.create_batch(server.core, [NewTask(command="X", payload={})] * 150))


def test_an_outage_after_a_lost_reply_does_not_say_that_nothing_was_sent() -> None:
    server = ScriptedServer([LOST, *[UNREACHED] * 3])
    with pytest.raises(Unavailable, match="an earlier try had no answer") as raised:
        server.run(operations.create(server.core, "X", {}))
    assert raised.value.sent


def test_an_outage_ends_the_separate_requests_of_a_batch_of_results() -> None:
    server = ScriptedServer([UNREACHED] * 4)
    batch = server.run(operations.submit_batch(server.core, [Submission(f"t-{n}", n) for n in range(50)]))
    assert (len(server.sent), len(batch.rejected)) == (4, 50)
    assert batch.rejected[7].item == Submission("t-7", 7)


@pytest.mark.parametrize(
    "given", [[{"command": "X"}], NewTask(command="X", payload=1), ["X"], {"command": "X"}], ids=str
)
def test_items_that_are_none_are_named(given: Any) -> None:
    server = ScriptedServer([])
    with pytest.raises(ConfigurationError, match="NewTask"):
        server.run(operations.create_batch(server.core, given))
    with pytest.raises(ConfigurationError, match="Submission"):
        server.run(operations.submit_batch(server.core, given))


ENDED = {"result": {"taskId": "t-1", "status": "COMPLETED", "result": {}}}


@pytest.mark.parametrize(
    ("result", "artifacts"),
    [(Refusing(), ()), ({}, [Artifact(content="text")])],  # type: ignore[arg-type]
    ids=["its type", "its artifact"],
)
@pytest.mark.parametrize("webhook", ["", "http://app.test/"], ids=["together", "alone"])
def test_a_result_that_cannot_be_encoded_is_rejected_alone(webhook: str, result: Any, artifacts: Any) -> None:
    server = ScriptedServer([reply(200, {"results": [ENDED]})])
    items = [Submission(replace(CLAIMED, webhook=webhook), result, artifacts=artifacts), Submission(CLAIMED, {})]
    batch = server.run(operations.submit_batch(server.core, items))
    (rejected,) = batch.rejected
    assert (rejected.index, isinstance(rejected.error, ConfigurationError), len(batch.accepted)) == (0, True, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{"priority": 10**20}, {"max_attempts": -(2**70)}], ids=str)
async def test_an_item_with_a_number_that_the_server_cannot_read_is_rejected_alone(
    scenario: Scenario, options: Any
) -> None:
    items = [NewTask(command="X", payload=1), NewTask(command="X", payload=1, **options)]
    batch = await scenario.codeq.create_batch(items)
    assert [item.index for item in batch.rejected] == [1]
    assert len(scenario.fake.tasks()) == 1


DEEP = "[" * 100_000 + "]" * 100_000


def test_a_claimed_task_that_cannot_be_read_does_not_hold_up_its_neighbours() -> None:
    odd = [{**TASK, "createdAt": "noon"}, {**TASK, "command": 5}, {**TASK, "id": None}]
    claimed = [TASK, {**TASK, "id": "deep", "payload": DEEP}, *odd, {**TASK, "id": "t-2"}]
    server = ScriptedServer([reply(200, {"tasks": claimed})])
    tasks = server.run(operations.claim_batch(server.core, ["X"], count=6))
    assert [task.id for task in tasks] == ["t-1", "deep", "t-2"]
    assert (tasks[1].payload, tasks[1].extra["payload"], bool(tasks[1].unreadable)) == (None, DEEP, True)


@pytest.mark.asyncio
async def test_a_worker_fails_a_task_whose_payload_cannot_be_read(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=10)
    called = []

    @worker.handler("X")
    async def work(job: Any) -> None:
        called.append(job.id)

    async def deep(_request: Any, forward: Any) -> Any:
        response = await forward()
        if response.status_code == 200:
            task = {**json.loads(response.content), "payload": DEEP}
            return type(response)(200, json=task)
        return response

    scenario.network.fail("claim", deep, None)
    bad = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(bad, "failed")]
    assert "the payload cannot be read" in str(scenario.task(bad).error)
    assert called == []


def cyclic() -> Any:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


def test_a_value_that_contains_itself_is_an_encode_error() -> None:
    server = ScriptedServer([])
    task = Task(id="t-1", command="X", status="IN_PROGRESS")
    for call in (
        lambda: operations.create(server.core, "X", cyclic()),
        lambda: operations.complete(server.core, "t-1", cyclic()),
        lambda: operations.complete(server.core, task, cyclic()),
    ):
        with pytest.raises(EncodeError, match="contains itself"):
            server.run(call())
    batch = server.run(operations.submit_batch(server.core, [Submission(task, cyclic())]))
    assert isinstance(batch.rejected[0].error, EncodeError)
