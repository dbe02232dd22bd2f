"""Deep and large bodies: 10,000 levels are legal, 64 MiB are read, and no stack or memory overflows."""

from __future__ import annotations

import asyncio
import errno
import json
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from anyio import BrokenWorkerProcess, to_process

from codeq_fake import http, wire
from codeq_fake.clocks import WallClock
from codeq_fake.core import Submission
from codeq_fake.http import OPERATIONS, bodies, long_texts, rendering
from codeq_fake.http.decoding_process import decode_large
from codeq_fake.http.limits import LARGEST_BATCH, LARGEST_BODY, MOST_ARTIFACTS
from codeq_fake.http.rejections import status_and_text
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings
from codeq_fake.testing import FakeCodeQ
from codeq_fake.wire import BadBody
from tests.holds import LIMIT, LongestHold, measured
from tests.http.support import (
    CLAIM,
    GOOD,
    IDENTITIES,
    NOW,
    TASKS,
    Connection,
    ask,
    ask_and_hang_up,
    bearer,
    caller_of,
    filled,
    request_scope,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.support import Answer

pytestmark = pytest.mark.slow

MEBIBYTE = 1024 * 1024


def nested(levels: int) -> bytes:
    """JSON of this many levels, lists and objects in turn."""
    return (b'[{"a":' * (levels // 2)) + b"[]" * (levels % 2) + b"0" * (1 - levels % 2) + b"}]" * (levels // 2)


@pytest.mark.parametrize(("levels", "status"), [(9_999, 202), (10_000, 400)])
def test_b1_a_payload_may_nest_10000_deep_counting_the_body(levels: int, status: int) -> None:
    async def created() -> int:
        body = b'{"command":"A","payload":' + nested(levels) + b"}"
        return (await ask_and_hang_up(FakeCodeQ(identities=IDENTITIES), "POST", TASKS, body, bearer("producer"))).status

    assert asyncio.run(created()) == status


@pytest.mark.parametrize("operation", sorted(GOOD))
def test_b1_a_deeper_body_is_bad_on_each_route_even_in_an_unknown_field(full_state: bytes, operation: str) -> None:
    (route,) = (each for each in OPERATIONS if each.name == operation)

    async def asked(levels: int) -> Answer:
        fake = await filled(full_state)
        body = json.dumps(GOOD[operation]).encode()[:-1] + b',"x":' + nested(levels - 1) + b"}"
        path = route.path.replace("{id}", "s-1" if operation == "renew" else "held")
        return await ask_and_hang_up(fake, route.method, path, body, bearer(caller_of(route)))

    legal, deeper = asyncio.run(asked(10_000)), asyncio.run(asked(10_001))
    assert legal.status < 300
    if operation in {"renew", "cleanup"}:
        assert deeper.status == 200  # B2: a bad body counts as none
    else:
        assert (deeper.status, deeper.json) == (400, {"error": status_and_text(BadBody(), operation)[1]})


def test_a_deep_payload_can_be_read_in_every_way() -> None:
    deep = nested(9_998)

    async def lived() -> None:
        fake = FakeCodeQ(identities=IDENTITIES, now=NOW)
        worker, body = bearer("worker"), b'{"command":"A","payload":' + deep + b"}"
        task = (await ask_and_hang_up(fake, "POST", TASKS, body, bearer("producer"))).json["id"]
        claimed = await ask_and_hang_up(fake, "POST", CLAIM, b'{"commands":["A"]}', worker)
        assert claimed.json["payload"].encode() == deep
        body = b'{"status":"COMPLETED","result":{"a":' + deep + b"}}"
        assert (await ask_and_hang_up(fake, "POST", f"{TASKS}/{task}/result", body, worker)).status == 200
        assert deep in (await ask_and_hang_up(fake, "GET", f"{TASKS}/{task}/result", b"", worker)).body
        shown = (await ask_and_hang_up(fake, "GET", f"/_fake/tasks/{task}", b"", ())).json
        assert shown["result"]["result"].encode() == b'{"a":' + deep + b"}"
        assert fake.task(task).payload.encode() == deep
        dumped = (await ask_and_hang_up(fake, "GET", "/_fake/state", b"", ())).body
        assert (await ask_and_hang_up(fake, "PUT", "/_fake/state", dumped, ())).status == 200
        assert (await ask_and_hang_up(fake, "GET", "/_fake/state", b"", ())).body == dumped

    asyncio.run(lived())


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"command":' * 100_000, b'[{"a":' * 100_000])
@pytest.mark.parametrize("path", [TASKS, "/_fake/reset", "/_fake/clock/advance"])
def test_nothing_overflows_the_stack(path: str, body: bytes) -> None:
    answer = asyncio.run(ask_and_hang_up(FakeCodeQ(identities=IDENTITIES), "POST", path, body, bearer("producer")))
    assert answer.status == 400


#: Bodies of a few hundred kilobytes that take long to decode.
SLOW = {
    "small objects": b'{"command":"A","payload":[' + b",".join([b'{"a":1}'] * 20_000) + b"]}",
    "repeated keys": b'{"command":"A","payload":[' + b",".join([b'{"a":1,"a":2}'] * 12_000) + b"]}",
    "floats": b'{"command":"A","payload":[' + b",".join([b"0.123456789e-7"] * 12_000) + b"]}",
    "no JSON": b'{"command":"A","payload":[' + b",".join([b'{"a":1}'] * 20_000) + b",]}",
}


@pytest.mark.process
@measured
def test_a_body_that_is_slow_to_decode_holds_up_no_other_client() -> None:
    async def answers(*, has_worker_process: bool) -> tuple[list[tuple[int, bytes]], float]:
        config = Config(has_worker_process=has_worker_process, seed=1)
        runtime = FakeServer(config, WallClock("manual", start=0))
        app = http.contract_app(runtime)
        async with LongestHold() as longest:
            given = [await ask(app, "POST", TASKS, [body], bearer("dev-token")) for body in SLOW.values()]
        return [(answer.status, answer.body) for answer in given], longest.seconds

    expected, long = asyncio.run(answers(has_worker_process=False))
    assert [status for status, _ in expected] == [202, 202, 202, 400]
    given, short = asyncio.run(answers(has_worker_process=True))
    assert given == expected
    assert long > LIMIT > short


#: Path and body of requests with lists that are too long, and what is said of them.
LONG_LISTS = [
    ("/claim", b'{"commands":[%b"b"]}' % (b'"a",' * 40_000), "commands exceed maximum of 10000"),
    ("/batch", b'{"tasks":[%b{}]}' % (b'{"command":"A"},' * 40_000), "batch size exceeds maximum of 100"),
    ("/c/result", b'{"status":"FAILED","artifacts":[%b{}]}' % (b"{}," * 40_000), "artifacts exceed maximum of 250"),
    (
        "/batch/results",
        b'{"results":[{"artifacts":[%b{}]}]}' % (b"{}," * 40_000),
        "artifacts exceed maximum of 250",
    ),
]


@pytest.mark.process
@measured
def test_a_list_that_is_too_long_is_refused_without_holding_up_others() -> None:
    async def asked() -> list[tuple[str, bool]]:
        app = http.contract_app(with_long_texts("", has_worker_process=True))
        found = []
        for path, body, _ in LONG_LISTS:
            async with LongestHold() as longest:
                given = await ask(app, "POST", f"{TASKS}{path}", [body], bearer("dev-token"))
            found.append((given.json["error"], longest.seconds < LIMIT / 4))
        # To read more of a list from the worker process would take long, too.
        tasks = await decode_large(LONG_LISTS[1][1], bodies.CREATE_BATCH)
        results = await decode_large(LONG_LISTS[3][1], bodies.SUBMIT_BATCH)
        assert isinstance(tasks, dict)
        assert isinstance(results, dict)
        assert len(tasks["tasks"]) == LARGEST_BATCH + 1
        assert len(results["results"][0]["artifacts"]) == MOST_ARTIFACTS + 1
        return found

    assert asyncio.run(asked()) == [(text, True) for *_, text in LONG_LISTS]


def submitted(folder: Path, text: str) -> Answer:
    """The answer to a result with a content that is decoded by the worker process, and with an empty one."""
    artifacts = [{"name": "large", "contentBase64": text}, {"name": "empty", "contentBase64": "\n" * 4}]
    body = json.dumps({"status": "COMPLETED", "result": {}, "artifacts": artifacts}).encode()
    settings = Settings.from_env({"LOCAL_ARTIFACTS_DIR": str(folder)})
    app = http.contract_app(with_long_texts("", has_worker_process=True, settings=settings))
    return asyncio.run(ask(app, "POST", f"{TASKS}/c/result", [body], bearer("dev-token")))


@pytest.mark.process
def test_s5_a_large_content_is_stored(tmp_path: Path) -> None:
    answer = submitted(tmp_path, "YWJj" * 500_000 + "YQ")
    assert [artifact["name"] for artifact in answer.json["artifacts"]] == ["large", "empty"]
    stored = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert stored == {"large": b"abc" * 500_000 + b"a", "empty": b""}


@pytest.mark.process
@pytest.mark.parametrize("end", ["====", "?", "YQ=\n"])
def test_s5_a_large_content_that_is_no_base64_is_refused_with_its_position(tmp_path: Path, end: str) -> None:
    text = "YWJj" * 500_000 + end
    with pytest.raises(wire.IllegalBase64) as fault:
        wire.decode_base64(text)
    assert submitted(tmp_path, text).json == {"error": f"artifact large base64 decode: {fault.value}"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@measured
def test_a_large_content_holds_up_no_other_client() -> None:
    async def asked() -> LongestHold:
        app = http.contract_app(with_long_texts("", has_worker_process=True))
        await decode_large(b'{"commands":[%b]}' % (b" " * MEBIBYTE), bodies.CLAIM)  # starts the process
        body = b'{"status":"COMPLETED","result":{},"artifacts":[{"contentBase64":"%b"}]}' % (b"YWJj" * 4_000_000)
        async with LongestHold() as longest:
            answer = await ask(app, "POST", f"{TASKS}/c/result", [body], bearer("dev-token"))
        assert answer.status == 200
        return longest

    assert asyncio.run(asked()).seconds < LIMIT


#: Texts that take long to write.
TEXTS = {"any": "<é\ud800\u2028" * 400_000, "ascii": "a" * 6_000_000}

#: Calls whose replies have a long text: of the task `a`, which is pending, and of `b`, which has a result.
LONG_REPLIES = {
    "get": ("GET", f"{TASKS}/a", b""),
    "claim": ("POST", CLAIM, b'{"commands":["A"]}'),
    "claim_batch": ("POST", f"{TASKS}/claim/batch", b'{"commands":["A"],"count":2}'),
    "result": ("GET", f"{TASKS}/b/result", b""),
}


def with_long_texts(text: str, **config: Any) -> FakeServer:
    """A fake with long payloads: `a` is pending, `b` has a long result and error, and `c` is in progress."""
    runtime = FakeServer(Config(seed=1, **config), WallClock("manual", start=0))
    runtime.source.queue(ids=["b", "a", "c", "d"])
    for command in "BAC":
        runtime.broker.create(command, text, tenant="dev", now=0)
    for command in "BC":
        runtime.broker.claim([command], worker="worker-dev", event_types=["*"], tenant="dev", now=0)
    runtime.broker.submit("b", Submission("FAILED", f'{{"a":"{text}"}}', text or "e"), worker="worker-dev", now=0)
    return runtime


async def at_once(asked: tuple[str, str, bytes], text: str, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """The answer of a fake that writes it in one go."""
    with monkeypatch.context() as patched:
        patched.setattr(long_texts, "LONG", sys.maxsize)
        patched.setattr(rendering, "LONG", sys.maxsize)
        method, path, body = asked
        return await ask(http.contract_app(with_long_texts(text)), method, path, [body], bearer("dev-token"))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("call", LONG_REPLIES)
@measured
def test_a_reply_with_long_texts_is_written_in_slices(call: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, path, body = LONG_REPLIES[call]

    async def asked() -> tuple[Answer, Answer, LongestHold]:
        app = http.contract_app(with_long_texts(text))
        async with LongestHold() as longest:
            given = await ask(app, method, path, [body], bearer("dev-token"))
        return given, await at_once(LONG_REPLIES[call], text, monkeypatch), longest

    given, expected, longest = asyncio.run(asked())
    assert (given.status, given.body == expected.body) == (200, True)
    assert longest.seconds < max(longest.total / 2, LIMIT / 5), (longest.seconds, longest.total)


def test_a_reply_that_is_written_in_slices_is_that_of_one_instant() -> None:
    async def asked() -> tuple[list[Answer], list[str]]:
        runtime = with_long_texts(TEXTS["ascii"])
        app, task, zone = http.contract_app(runtime), runtime.broker.get("a"), runtime.config.settings.timezone
        expected = [rendering.task(task, zone)]
        read = asyncio.create_task(ask(app, "GET", f"{TASKS}/a", [], bearer("dev-token")))
        await asyncio.sleep(0)
        claimed = await ask(app, "POST", CLAIM, [b'{"commands":["A"]}'], bearer("dev-token"))
        expected.append(rendering.task(task, zone))
        return [await read, claimed], expected

    answers, expected = asyncio.run(asked())
    assert ([answer.body.decode() for answer in answers] == expected) is True


@pytest.mark.process
@measured
def test_a_large_batch_or_result_holds_up_no_other_client(monkeypatch: pytest.MonkeyPatch) -> None:
    text = ("<é\u2028" * 600_000).encode()
    result = b'"status":"COMPLETED","result":{"a":"%b"}' % text
    calls = [
        ("POST", f"{TASKS}/batch", b'{"tasks":[{"command":"D","payload":"%b"},{"command":""}]}' % text),
        ("POST", f"{TASKS}/c/result", b"{%b}" % result),
        ("POST", f"{TASKS}/batch/results", b'{"results":[{"taskId":"c",%b},{"taskId":"%b"}]}' % (result, text)),
    ]

    async def asked() -> list[tuple[int, bool, bool]]:
        found = []
        for method, path, body in calls:
            app = http.contract_app(with_long_texts("", has_worker_process=True))
            async with LongestHold() as longest:
                given = await ask(app, method, path, [body], bearer("dev-token"))
            expected = await at_once((method, path, body), "", monkeypatch)
            found.append((given.status, given.body == expected.body, longest.seconds < LIMIT))
        return found

    assert asyncio.run(asked()) == [(200, True, True)] * 3


#: A worker process that did not say for 20 s that it is ready, as anyio reports it.
SLOW_START = BrokenWorkerProcess("Error during worker process initialization")
SLOW_START.__cause__ = TimeoutError()

#: What the start of the worker process raises -> the answer.
FAILURES = {
    BrokenWorkerProcess(): (413, "body needs more memory than this machine has"),
    SLOW_START: (503, "no process to decode this body: it did not start in time"),
    OSError(errno.EMFILE, "Too many open files"): (503, "no process to decode this body: Too many open files"),
    ProcessLookupError("gone"): (503, "no process to decode this body: gone"),
}


@pytest.mark.parametrize("failure", FAILURES, ids=["memory", "slow start", "descriptors", "gone"])
def test_a_body_that_the_worker_process_cannot_decode_is_refused(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To decode it in the server would end the server, or hold up the others."""

    async def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(to_process, "run_sync", fail)

    async def refused() -> Answer:
        app = http.contract_app(FakeServer(Config(has_worker_process=True), WallClock("manual", start=0)))
        return await ask(app, "POST", TASKS, [SLOW["floats"]], bearer("dev-token"))

    answer = asyncio.run(refused())
    status, text = FAILURES[failure]
    assert (answer.status, answer.json) == (status, {"error": text})


def test_a_body_that_the_route_reads_itself_goes_to_no_worker_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise BrokenWorkerProcess

    monkeypatch.setattr(to_process, "run_sync", fail)
    config = Config(profile="main/redis", has_worker_process=True)
    app = http.contract_app(FakeServer(config, WallClock("manual", start=0)))
    path = "/v1/codeq/admin/topics/orders"
    answer = asyncio.run(ask(app, "PUT", path, [SLOW["floats"]], bearer("dev-token")))
    assert (answer.status, answer.json) == (400, {"error": "invalid request body: http: request body too large"})


def upload(size: int, taken: list[int]) -> Iterator[bytes]:
    """White space of this many bytes, made on demand."""
    for start in range(0, size, MEBIBYTE):
        taken.append(start)
        yield b" " * min(MEBIBYTE, size - start)


async def uploaded(parts: Iterator[bytes], path: str = TASKS) -> Answer:
    fake = FakeCodeQ(identities=IDENTITIES)
    client = Connection(parts)
    await fake.app(request_scope("POST", path, bearer("producer")), client.receive, client.send)
    return client.answer()


def test_a_body_of_64_mebibytes_is_read() -> None:
    request = b'{"command":"A","payload":1}'

    def parts() -> Iterator[bytes]:
        yield from upload(LARGEST_BODY - len(request), [])
        yield request

    assert asyncio.run(uploaded(parts())).status == 202


def test_a_larger_body_is_refused_as_soon_as_it_is_larger() -> None:
    taken: list[int] = []
    tracemalloc.start()
    try:
        answer = asyncio.run(uploaded(upload(2 * LARGEST_BODY, taken)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.status, answer.json) == (413, {"error": f"body exceeds {LARGEST_BODY} bytes"})
    assert len(taken) == LARGEST_BODY // MEBIBYTE + 1
    assert peak < LARGEST_BODY + 8 * MEBIBYTE


def test_a_route_without_a_body_does_not_read_it() -> None:
    taken: list[int] = []
    answer = asyncio.run(uploaded(upload(2 * LARGEST_BODY, taken), f"{TASKS}/x/heartbeat"))
    assert (answer.status, taken) == (401, [])
