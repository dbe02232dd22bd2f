"""A world from end to end: workers on three clients, faults of the network and of the server, and its end."""

from __future__ import annotations

import asyncio
import re
import time

import httpx
import pytest

from codeq_fake.simulation import Host, NeverSettledError, Weather, World
from codeq_fake.simulation.runs import run_once
from tests.simulation.support import COMMAND, PROGRAMS, Program, httpx_worker, run, twenty_tasks

CLIENTS = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


@pytest.mark.slow
@CLIENTS
def test_three_workers_complete_all_tasks(program: Program) -> None:
    async def test(world: World) -> None:
        await twenty_tasks(world, program, tasks=6)
        assert [task.status for task in world.fake.tasks()] == ["COMPLETED"] * 6

    outcome = run(test)
    callers = {request.caller for request in outcome.scene.evidence.requests}
    assert {"worker-1", "worker-2", "worker-3"} <= callers
    assert outcome.violations == []


@pytest.mark.slow
@CLIENTS
def test_workers_complete_all_tasks_in_bad_weather(program: Program) -> None:
    async def test(world: World) -> None:
        await twenty_tasks(world, program, tasks=5)
        assert {task.status for task in world.fake.tasks()} == {"COMPLETED"}

    outcome = run_once(test, 3, weather=Weather(races=False))
    assert len(outcome.plan.events) > 3
    assert (outcome.error, outcome.failed) == (None, False)


def requests_of(world: World, operation: str) -> list[int]:
    return [request.status for request in world.requests if request.operation == operation]


def noted(world: World) -> list[str]:
    """What happened to the requests of the worker on their way."""
    return [entry.text for entry in world.log if (entry.host, entry.kind) == ("worker", "refusal")]


async def one_task(world: World) -> None:
    world.process("worker")(httpx_worker)
    await world.enqueue(COMMAND)


def test_a_lost_request_never_reaches_the_server() -> None:
    async def test(world: World) -> None:
        await one_task(world)
        world.wire("worker").lose_request()
        await asyncio.sleep(0.5)
        assert requests_of(world, "claim") == []
        await asyncio.sleep(5)
        assert requests_of(world, "claim") == [200]
        assert noted(world) == ["a request was lost"]

    run(test)


def test_a_lost_reply_is_that_of_a_request_that_was_carried_out() -> None:
    async def test(world: World) -> None:
        await one_task(world)
        world.wire("worker").lose_reply()
        await asyncio.sleep(5)
        assert [(task.status, task.attempts) for task in world.fake.tasks()] == [("IN_PROGRESS", 1)]
        assert requests_of(world, "claim") == [200]  # the worker, which knows nothing of its task, waits for another
        assert noted(world) == ["a reply was lost"]
        await asyncio.sleep(50)  # its lease goes on
        assert requests_of(world, "heartbeat") == []

    run(test)


def test_what_is_sent_during_a_cut_arrives_after_it() -> None:
    async def test(world: World) -> None:
        await one_task(world)
        await asyncio.sleep(2)
        world.wire("worker").cut("to_server")
        await asyncio.sleep(25)
        assert requests_of(world, "heartbeat") == []
        world.wire("worker").heal()
        await asyncio.sleep(16)  # TCP tries again after 1, 2, 4, 8 and 16 s
        assert requests_of(world, "heartbeat")[:1] == [200]

    run(test)


def test_a_proxy_answers_in_place_of_the_server() -> None:
    async def test(world: World) -> None:
        world.server.answer(503, host="worker", times=3)
        await one_task(world)
        await asyncio.sleep(1.5)
        assert requests_of(world, "claim") == []
        await asyncio.sleep(5)
        assert requests_of(world, "claim") == [200]
        assert noted(world) == ["POST /v1/codeq/tasks/claim: 503 from a proxy"] * 3

    run(test)


def test_a_proxy_answers_after_the_server_has_carried_out_the_request() -> None:
    async def test(world: World) -> None:
        world.server.answer(502, host="worker", is_late=True)
        await one_task(world)
        await asyncio.sleep(5)
        assert requests_of(world, "claim") == [200]  # the worker got 502, and waits for another task
        assert noted(world) == ["POST /v1/codeq/tasks/claim: 502 from a proxy, after the server had carried it out"]
        await asyncio.sleep(50)
        assert requests_of(world, "heartbeat") == []

    run(test)


def test_a_proxy_may_say_when_to_try_again() -> None:
    answers = []

    async def ask(host: Host) -> None:
        async with httpx.AsyncClient(base_url=host.codeq_url) as http:
            for _ in range(2):
                response = await http.get("/healthz")
                answers.append((response.status_code, response.headers.get("retry-after")))

    async def test(world: World) -> None:
        answers.clear()  # a run that loads modules is done again
        world.server.answer(429, host="asks", retry_after=20)
        world.process("asks", restart=False)(ask)
        await asyncio.sleep(5)

    run(test)
    assert answers[0] == (429, "20")
    assert answers[1][1] is None


def test_a_trickling_body_outlasts_the_timeout_for_each_read() -> None:
    took = []

    async def ask(host: Host) -> None:
        async with httpx.AsyncClient(base_url=host.codeq_url, timeout=5) as http:
            begun = time.monotonic()
            (await http.get("/metrics")).raise_for_status()
            took.append(time.monotonic() - begun)

    async def test(world: World) -> None:
        took.clear()  # as above
        world.process("asks", restart=False)(ask)
        world.wire("asks").trickle(100)
        await asyncio.sleep(1000)
        assert world.errors == []

    run(test)
    assert 5 < took[0] < 1000


def test_a_result_that_was_sent_before_a_later_claim_excuses_its_worker_however_late_it_arrives() -> None:
    """Its head is complete only after the claim, so by the server's journal it came later."""

    async def test(world: World) -> None:
        charges = world.effects("charge")

        async def work(host: Host) -> None:
            headers = {"authorization": f"Bearer {host.worker_token}"}
            async with httpx.AsyncClient(base_url=host.codeq_url, headers=headers, timeout=60) as http:
                wanted = {"commands": [COMMAND], "leaseSeconds": 30, "waitSeconds": 10}
                task = (await http.post("/v1/codeq/tasks/claim", json=wanted)).json()["id"]
                await asyncio.sleep(25)
                world.wire("worker").trickle(8)
                done = {"status": "COMPLETED", "result": {}}
                result = asyncio.create_task(http.post(f"/v1/codeq/tasks/{task}/result", json=done))
                await asyncio.sleep(1)
                world.wire("worker").trickle(100_000)  # what is sent from now on is quick
                while (await http.post("/v1/codeq/tasks/claim", json=wanted)).status_code != 200:
                    pass
                assert (await result).status_code == 200
                charges.record("order", task=task)

        await world.enqueue(COMMAND, max_attempts=50)
        world.process("worker", restart=False)(work)
        await asyncio.sleep(100)
        claims = [request for request in world.requests if request.operation == "claim"]
        (result,) = (request for request in world.requests if request.operation == "submit")
        assert claims[-1].answered < result.arrived
        assert len(charges.entries) == 1
        charges.assert_under_lease()
        assert world.errors == []

    run(test)


def test_tasks_outlive_a_restart_of_the_server() -> None:
    async def test(world: World) -> None:
        await one_task(world)
        await asyncio.sleep(2)
        world.server.kill()
        await asyncio.sleep(20)
        before = len(world.requests)
        world.server.restart()
        await asyncio.sleep(60)
        assert len(world.requests) > before
        await world.settle()

    run(test)


def test_a_claim_that_waits_for_a_dead_worker_may_get_a_task() -> None:
    """The interesting one: the server does not learn at once that a worker has lost its power."""

    async def test(world: World) -> None:
        world.process("worker")(httpx_worker)
        await asyncio.sleep(3)
        world.hosts["worker"].kill(power=True)
        await world.enqueue(COMMAND)
        await asyncio.sleep(1)
        assert [task.status for task in world.fake.tasks()] == ["IN_PROGRESS"]

    run(test)


def test_a_claim_of_a_killed_worker_gets_none() -> None:
    async def test(world: World) -> None:
        world.process("worker")(httpx_worker)
        await asyncio.sleep(3)
        world.hosts["worker"].kill()
        await asyncio.sleep(1)
        await world.enqueue(COMMAND)
        await asyncio.sleep(1)
        assert [task.status for task in world.fake.tasks()] == ["PENDING"]

    run(test)


def test_a_world_settles_only_once_a_task_has_ended_that_is_delivered_again() -> None:
    async def test(world: World) -> None:
        await one_task(world)
        (task,) = world.fake.tasks()
        world.at(75, lambda: world.fake.race("redeliver_finished", task.id))  # in the minute after all tasks have ended
        await world.settle()
        assert [event["what"] for event in world.fake.task(task.id).history].count("completed") == 2

    assert {violation.race for violation in run(test).violations} == {"Z1"}


@pytest.mark.parametrize(("pause", "broken"), [(150, set()), (10_000, {"a living worker claims"})])
def test_a_world_waits_for_a_worker_that_claims_nothing_until_the_time_is_over(pause: float, broken: set[str]) -> None:
    async def worker(host: Host) -> None:
        headers = {"authorization": f"Bearer {host.worker_token}"}
        async with httpx.AsyncClient(base_url=f"{host.codeq_url}/v1/codeq/tasks", headers=headers) as http:
            while True:
                reply = await http.post("/claim", json={"commands": [COMMAND], "waitSeconds": 2})
                if reply.status_code == 200:
                    result = {"status": "COMPLETED", "result": {}}
                    await http.post(f"/{reply.json()['id']}/result", json=result)
                    await asyncio.sleep(pause)

    async def test(world: World) -> None:
        world.process("worker")(worker)
        await world.enqueue(COMMAND)
        await world.settle(within=400)

    assert {violation.law for violation in run(test).violations} == broken


def test_a_world_that_never_settles_says_who_waits_for_what() -> None:
    async def idle(_: Host) -> None:
        await asyncio.Event().wait()

    async def test(world: World) -> None:
        world.process("idle", count=2)(idle)
        await world.enqueue(COMMAND)
        await world.settle(within=120)

    with pytest.raises(NeverSettledError) as error:
        run(test)
    text = str(error.value)
    assert "1 task has not ended 120 s after the end of the bad weather" in text
    assert f"({COMMAND}) is PENDING, 0 attempts" in text
    assert "idle-2 is up" in text
    assert re.search(r"idle-2 waits in idle \(test_world.py:\d+\) > wait \(locks.py:\d+\)$", text, re.MULTILINE)


def test_functions_are_called_at_their_moments() -> None:
    moments = list[float]()

    async def test(world: World) -> None:
        moments.clear()  # a run that loads modules is done again

        async def later() -> None:
            moments.append(world.now())

        world.at(30, lambda: moments.append(world.now()))
        world.at(20, later)
        await asyncio.sleep(40)

    run(test)
    assert moments == [20, 30]


def test_a_name_is_taken_once() -> None:
    async def test(world: World) -> None:
        world.process("worker")(httpx_worker)
        world.process("worker")(httpx_worker)

    with pytest.raises(ValueError, match="there is a host worker already"):
        run(test)
