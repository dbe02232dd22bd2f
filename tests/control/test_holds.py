"""No control call holds the event loop for long, however many tasks and requests there are."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.control import BadRequestError
from codeq_fake.control.controls import Controls
from codeq_fake.core import Record, Status
from codeq_fake.journal import Request
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from tests.holds import LIMIT, LongestHold, garbage_kept, measured
from tests.http.support import TASKS, ask, bearer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

pytestmark = pytest.mark.slow

COUNT = 5_000

#: Path of a call -> what it returns.
CALLS: dict[str, Callable[[Controls], Any]] = {
    "state": Controls.state,
    f"tasks?limit={COUNT}": lambda controls: {"tasks": controls.tasks()},
    "tasks?command=Z": lambda _: {"tasks": []},
    "tasks?status=COMPLETED&tenant=dev": lambda _: {"tasks": []},
    "tasks?text=nowhere&state=stuck": lambda _: {"tasks": []},
    "queues": Controls.queues,
    "requests": lambda controls: {"requests": controls.requests()},
}


#: Method, path, what is long, and the body of calls that take long texts, or long lists of short parts.
LONG_CALLS: list[tuple[str, str, str, Callable[[], Any]]] = [
    ("POST", "reset", "yaml", lambda: {"yaml": "a: [" + "1," * 20_000 + "]"}),
    ("POST", "reset", "settings", lambda: {"settings": {f"K{n}": "v" for n in range(300_000)}}),
    ("POST", "reset", "identities", lambda: {"identities": {f"k{n}": {"kind": "worker"} for n in range(20_000)}}),
    ("POST", "next", "delays", lambda: {"delays": [1] * 1_000_000}),
    ("POST", "next", "ids", lambda: {"ids": [f"{n}" for n in range(300_000)]}),
    ("POST", "faults", "faults", lambda: {"faults": [{"do": "hang"}] * 15_000}),
    ("PUT", "clock", "mode", lambda: {"mode": [{}] * 1_000_000}),
    ("PUT", "state", "names", lambda: {f"k{n}": 1 for n in range(100_000)}),
    ("PUT", "state", "profile", lambda: {"profile": [{}] * 200_000}),
    ("PUT", "state", "broker", lambda: {"broker": {"tasks": [[]] * 200_000}}),
]


async def filled(requests: int = 0, **config: Any) -> tuple[ASGIApp, Controls]:
    """A fake with many tasks and many queues, and so many requests."""
    runtime = FakeServer(Config(**config), WallClock("manual"))
    app = application(runtime)
    with garbage_kept():
        for n in range(COUNT):
            runtime.broker.create(f"C{n % 2 * n}", f"[{n}]", tenant="dev", now=runtime.clock.now())
        for _ in range(requests):
            await ask(app, "GET", f"{TASKS}/unknown", [], bearer("dev-token"))
    await ask(app, "GET", "/_fake/health")  # the first call loads what all need
    return app, Controls(runtime)


@measured
def test_a_call_that_returns_much_lets_others_in_between() -> None:
    async def called() -> list[tuple[str, bool]]:
        app, controls = await filled(COUNT // 2)
        short = []
        for path, expected in CALLS.items():
            async with LongestHold() as longest:
                answer = await ask(app, "GET", f"/_fake/{path}")
            assert answer.json == json.loads(json.dumps(expected(controls))), path
            assert int(answer.headers[b"content-length"]) == len(answer.body)
            short.append((path, longest.is_short))
        return short

    assert asyncio.run(called()) == [(path, True) for path in CALLS]


LONG_TEXT = "é<\\" * 700_000


@pytest.mark.parametrize(
    "path", ["state", "tasks", "tasks?text=q", "tasks/a", "tasks/a/story", "requests", "page/tasks?q=x"]
)
@measured
def test_a_call_about_a_long_text_lets_others_in_between(path: str) -> None:
    async def called() -> LongestHold:
        runtime = FakeServer(Config(), WallClock("manual"))
        app = application(runtime)
        runtime.source.queue(ids=["a"])
        task = runtime.broker.create("A", LONG_TEXT, tenant="dev", now=0)
        task.error = LONG_TEXT
        await ask(app, "GET", "/_fake/page/tasks")  # the first call loads what all need
        await ask(app, "GET", f"{TASKS}/a", [], bearer("dev-token"))
        async with LongestHold() as longest:
            answer = await ask(app, "GET", f"/_fake/{path}")
        assert answer.status == 200
        if path in CALLS or path == "tasks":
            assert answer.json == json.loads(json.dumps({**CALLS, "tasks": _tasks}[path](Controls(runtime))))
        return longest

    longest = asyncio.run(called())
    assert longest.seconds < max(longest.total / 2, LIMIT / 5), (longest.seconds, longest.total)


#: Texts that would take long to read at once, as results.
LONG_RESULTS = {"many": f'{{"a":[{"{}," * 1_000_000}{{}}]}}', "long": f'{{"a":"{LONG_TEXT.replace(chr(92), "")}"}}'}


@pytest.mark.parametrize("result", LONG_RESULTS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/requeue"), ("DELETE", "")],
    ids=["get", "requeue", "delete"],
)
@measured
def test_a_call_about_a_task_with_a_long_result_lets_others_in_between(method: str, path: str, result: str) -> None:
    async def called() -> LongestHold:
        runtime = FakeServer(Config(), WallClock("manual"))
        app = application(runtime)
        runtime.source.queue(ids=["a"])
        task = runtime.broker.create("A", tenant="dev", now=0)
        task.record = Record("a", Status.COMPLETED, LONG_RESULTS[result], "", (), 0)
        async with LongestHold() as longest:
            answer = await ask(app, method, f"/_fake/tasks/a{path}")
        if not path:
            assert answer.json["result"]["result"] == json.loads(LONG_RESULTS[result])
        return longest

    longest = asyncio.run(called())
    assert longest.seconds < max(longest.total / 2, LIMIT / 5), (longest.seconds, longest.total)


def test_half_a_surrogate_pair_in_a_result_is_shown_as_a_replacement_character() -> None:
    """A request cannot bring one, but a state can: its results are JSON text, in which it is an escape."""

    async def called() -> Any:
        runtime = FakeServer(Config(), WallClock("manual"))
        runtime.source.queue(ids=["a"])
        task = runtime.broker.create("A", tenant="dev", now=0)
        task.record = Record("a", Status.COMPLETED, '{"a":"\\ud800"}', "", (), 0)
        return (await ask(application(runtime), "GET", "/_fake/tasks/a")).json

    assert asyncio.run(called())["result"]["result"] == {"a": "\ufffd"}


@pytest.mark.parametrize("text", LONG_RESULTS)
@pytest.mark.parametrize("wrong", ["", ","])
@measured
def test_a_state_with_a_long_text_is_restored_or_refused_while_others_have_turns(text: str, wrong: str) -> None:
    async def called() -> LongestHold:
        runtime = FakeServer(Config(), WallClock("manual"))
        app = application(runtime)
        task = runtime.broker.create("A", LONG_RESULTS[text] + wrong, tenant="dev", now=0)
        task.error = LONG_TEXT
        state = (await ask(app, "GET", "/_fake/state")).body
        runtime.reset()
        async with LongestHold() as longest:
            answer = await ask(app, "PUT", "/_fake/state", [state])
        assert answer.status == (400 if wrong else 200)
        assert (await ask(app, "GET", "/_fake/state")).body == state or wrong
        return longest

    longest = asyncio.run(called())
    assert longest.seconds < max(longest.total / 2, LIMIT / 5), (longest.seconds, longest.total)


def _tasks(controls: Controls) -> Any:
    return {"tasks": controls.tasks()}


@measured
def test_a_call_about_many_queues_lets_others_in_between() -> None:
    async def called() -> None:
        runtime = FakeServer(Config(), WallClock("manual"))
        app = application(runtime)
        await ask(app, "GET", "/_fake/health")  # the first call loads what all need
        for n in range(COUNT):
            runtime.broker.create(f"C{n:05}", tenant="dev", now=runtime.clock.now())
        for path in ("state", "queues"):
            async with LongestHold() as longest:
                answer = await ask(app, "GET", f"/_fake/{path}")
            assert answer.json == json.loads(json.dumps(CALLS[path](Controls(runtime))))
            assert longest.seconds < max(longest.total / 20, LIMIT / 5), (path, longest.seconds, longest.total)

    asyncio.run(called())


@measured
def test_a_state_is_restored_while_others_have_turns_and_see_the_old_one_or_the_new_one() -> None:
    async def restored() -> LongestHold:
        app, controls = await filled()
        other, others_controls = await filled()
        async with LongestHold() as longest:
            body = (await ask(app, "GET", "/_fake/state")).body
            asking = asyncio.create_task(ask(other, "PUT", "/_fake/state", [body]))
            await asyncio.sleep(0)
            before, after = others_controls.tasks(limit=1), controls.tasks(limit=1)
            while not asking.done():
                assert others_controls.tasks(limit=1) in (before, after)
                await asyncio.sleep(0)
        assert (await asking).status == 200
        assert others_controls.state() == controls.state()
        return longest

    assert asyncio.run(restored()).is_short


@pytest.mark.parametrize("profile", ["redis", "none"])
def test_the_memory_of_a_state_is_freed_before_the_reply(profile: str) -> None:
    """Freed at once, that of 200,000 tasks takes a tenth of a second."""

    async def restored() -> tuple[dict[str, Any], Controls]:
        _, controls = await filled()
        state = json.loads(json.dumps({**controls.state(), "profile": profile}))
        with suppress(BadRequestError):
            await controls.restore_in_slices(state)
        return state, controls

    state, controls = asyncio.run(restored())
    assert state == {}
    assert len(controls.tasks()) == COUNT


@measured
def test_a_state_is_saved_while_others_have_turns(tmp_path: Path) -> None:
    async def saved() -> tuple[dict[str, Any], LongestHold]:
        app, controls = await filled(state_file=tmp_path / "state.json")
        async with LongestHold() as longest:
            answer = await ask(app, "POST", "/_fake/persist")
        assert answer.json == {"file": str(tmp_path / "state.json"), "tasks": COUNT}
        return controls.state(), longest

    state, longest = asyncio.run(saved())
    assert json.loads((tmp_path / "state.json").read_text()) == json.loads(json.dumps(state))
    assert longest.is_short


@pytest.mark.parametrize("path", ["/_fake/surprises", "/_fake/page/ledger"])
@measured
def test_the_first_look_at_the_surprises_of_many_requests_lets_others_in_between(path: str) -> None:
    body = b'{"commands":["A"],"x":"' + b"y" * 2000 + b'"}'

    async def called() -> LongestHold:
        runtime = FakeServer(Config(), WallClock("manual"))
        app = application(runtime)
        await ask(app, "GET", path)  # the first call loads what all need
        for n in range(1, COUNT + 1):
            runtime.requests.append(Request(n, n, "POST", TASKS, "w", body, 204, b"", "claim"))
        async with LongestHold() as longest:
            assert (await ask(app, "GET", path)).status == 200
        return longest

    longest = asyncio.run(called())
    assert longest.is_short, (longest.seconds, longest.total)


def test_settings_that_a_reset_changes_while_a_state_is_restored_stay_changed() -> None:
    async def restored() -> int:
        app, _ = await filled()
        runtime = FakeServer(Config(), WallClock("manual"))
        other = application(runtime)
        body = (await ask(app, "GET", "/_fake/state")).body
        asking = asyncio.create_task(ask(other, "PUT", "/_fake/state", [body]))
        await asyncio.sleep(0)
        settings = b'{"settings":{"RESULT_WEBHOOK_MAX_ATTEMPTS":"3"}}'
        assert (await ask(other, "POST", "/_fake/reset", [settings])).status == 200
        assert (await asking).status == 200
        assert len(runtime.broker.store.tasks) == COUNT
        return runtime.broker.settings.result_webhook_max_attempts

    assert asyncio.run(restored()) == 3


def test_a_state_is_that_of_one_instant_though_others_change_it_meanwhile() -> None:
    async def asked() -> None:
        app, controls = await filled()
        before = controls.state()
        asking = [asyncio.create_task(ask(app, "GET", "/_fake/state")) for _ in range(2)]
        tasks = asyncio.create_task(ask(app, "GET", f"/_fake/tasks?status=PENDING&limit={COUNT}"))
        for _ in range(2):
            await asyncio.sleep(0)  # they begin in their second turn
        claims = 0
        while not asking[0].done():
            claimed = await ask(app, "POST", f"{TASKS}/claim", [b'{"commands":["C0"]}'], bearer("dev-token"))
            claims += claimed.status == 200
            await asyncio.sleep(0)
        state, later, listed = [(await one).json for one in (*asking, tasks)]
        assert state == json.loads(json.dumps(before))
        assert claims > 1
        statuses = [task["state"] for task in later["broker"]["tasks"]]
        assert len(later["broker"]["ready"]) == statuses.count("READY") < COUNT
        assert {task["status"] for task in listed["tasks"]} == {"PENDING"}

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [pytest.param(method, path, body, id=f"{path}-{what}") for method, path, what, body in LONG_CALLS],
)
@measured
def test_a_long_body_lets_others_in_between_or_is_refused(method: str, path: str, body: Callable[[], Any]) -> None:
    async def called() -> LongestHold:
        app = application(FakeServer(Config(), WallClock("manual")))
        await ask(app, "POST", "/_fake/reset", [b'{"yaml":""}'])  # the first call loads what all need
        content = json.dumps(body()).encode()
        async with LongestHold() as longest:
            answer = await ask(app, method, f"/_fake/{path}", [content])
        assert answer.status in (200, 400)
        return longest

    assert asyncio.run(called()).seconds < LIMIT
