"""Bad input: any bytes to any route with any headers get an answer that the contract names, and change nothing.

The requests go to the application directly, as a server would hand them on, so that no client tidies them up.
"""

from __future__ import annotations

import asyncio
import json
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.http import OPERATIONS
from codeq_fake.http.call import LARGEST_BODY
from codeq_fake.testing import FakeCodeQ
from tests.http.callers import CLAIM, IDENTITIES, NOW, SUBSCRIPTIONS, TASKS
from tests.http.direct import Connection, bearer, request_scope
from tests.http.mutants import bodies, headers
from tests.http.test_refusals import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_fake.http import Operation
    from tests.http.direct import Answer, Headers

#: So few on each route, since there are many routes and each example is a fake of its own.
EXAMPLES = 25

#: An address that is reserved for documentation: nobody is there, and no callback goes there.
NOWHERE = "http://203.0.113.9/hook"

_ITEM = {"command": "A", "payload": {"n": [1, 2.5, "x"]}, "priority": 3, "webhook": NOWHERE, "maxAttempts": 5,
         "idempotencyKey": "k", "runAt": "2026-11-24T06:16:00Z", "delaySeconds": 5}  # fmt: skip
_RESULT = {
    "workerId": "w-1",
    "status": "COMPLETED",
    "result": {"n": 1},
    "error": "odd",
    "artifacts": [{"name": "a", "url": "u"}, {"name": "b", "contentBase64": "aGk=", "contentType": "text/plain"}],
}

#: A good body for each operation that reads one.
GOOD: dict[str, dict[str, Any]] = {
    "create": _ITEM,
    "create_batch": {"tasks": [_ITEM, {"command": "B", "payload": None}]},
    "claim": {"commands": ["A", "B"], "leaseSeconds": 60, "waitSeconds": 2},
    "claim_batch": {"commands": ["A", "B"], "leaseSeconds": 60, "count": 2},
    "heartbeat": {"extendSeconds": 60},
    "nack": {"delaySeconds": 5, "reason": "busy"},
    "submit": _RESULT,
    "submit_batch": {"results": [{"taskId": "held", **_RESULT}, {"taskId": "done", **_RESULT}]},
    "subscribe": {"callbackUrl": NOWHERE, "eventTypes": ["A"], "ttlSeconds": 60, "deliveryMode": "group",
                  "groupId": "g", "minIntervalSeconds": 5},
    "renew": {"ttlSeconds": 60},
    "cleanup": {"limit": 1, "before": "2026-11-24T06:15:00Z"},
}  # fmt: skip

#: The errors that the contract names, by operation, beside those that any caller may get.
NAMED: dict[str, set[tuple[int, str]]] = {
    operation.name: {(row.status, row.text) for row in ROWS if row.operation == operation.name}
    | ({(400, operation.bad_body)} if operation.name in GOOD else set())
    for operation in OPERATIONS
}
NAMED["create_batch"].add((400, "batch size exceeds maximum of 100"))
NAMED["claim_batch"].add((400, "count exceeds maximum of 10"))
NAMED["submit_batch"].add((400, "batch size exceeds maximum of 100"))
NAMED["cleanup"].add((400, "invalid 'before' (use RFC3339)"))
_BASE64 = re.compile(r"artifact .* base64 decode: illegal base64 data at input byte \d+", re.DOTALL)


@pytest.fixture(scope="module")
def state() -> bytes:
    """The state of a fake that holds a task in each place, a lease that has run out, and a delayed task that is due."""
    with FakeCodeQ(identities=IDENTITIES, now="2026-11-24T06:14:00Z", profile="redis", seed=1) as fake:
        fake.next(ids=["dead", "done", "held", "spent", "waiting", "due", "later", "s-1"])
        for number in range(5):
            fake.enqueue("A", number, tenant="acme", max_attempts=5 if number else 1)
        fake.enqueue("A", tenant="acme", delay=1)
        fake.enqueue("B", tenant="acme", delay=3600)
        with fake.client("worker") as worker:
            for lease in (300, 300, 300, 1):
                worker.post(CLAIM, json={"commands": ["A"], "leaseSeconds": lease})
            worker.post(f"{TASKS}/dead/nack", json={})
            worker.post(f"{TASKS}/done/result", json={"status": "COMPLETED", "result": {"n": 1}})
            worker.post(SUBSCRIPTIONS, json={"callbackUrl": NOWHERE, "eventTypes": ["A"], "ttlSeconds": 3600})
        fake.advance(to=NOW)
        return json.dumps(fake.state()).encode()


async def ask(fake: FakeCodeQ, method: str, target: str, body: bytes, head: Headers) -> Answer:
    """One request of a client that hangs up when it has sent it, so that no claim waits; nothing may go wrong aside."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    client = Connection([body[:7], body[7:]])
    client.gone.set()
    await fake.app(request_scope(method, target, head), client.receive, client.send)
    await fake.aadvance(0)
    assert errors == []
    return client.answer()


async def begun(state: bytes) -> FakeCodeQ:
    """A fake in this state."""
    fake = FakeCodeQ(identities=IDENTITIES, now=NOW, profile="redis", seed=1)
    assert (await ask(fake, "PUT", "/_fake/state", state, ())).status == 200
    return fake


def caller_of(operation: Operation) -> str:
    """Who may call it."""
    return {"producer": "producer", "admin": "admin"}.get(operation.right, "worker")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_any_request_gets_an_answer_of_the_contract(state: bytes, operation: Operation, data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["held", "spent", "waiting", "done", "dead", "s-1", "none", "%00", "%ff", "a%2Fb"])
    )
    target = operation.path.replace("{id}", name).replace("{command}", name)
    target += data.draw(st.sampled_from(["", "?", "?a=%ff&a", "/"]))
    body = data.draw(bodies(GOOD.get(operation.name, {})))
    head = data.draw(headers(caller_of(operation), [*IDENTITIES, "nobody"]))

    async def judged() -> None:
        fake = await begun(state)
        before = fake.state()
        answer = await ask(fake, operation.method, target, body, head)
        judge(operation, answer)
        if answer.status >= 300:
            assert fake.state() == before

    asyncio.run(judged())


def judge(operation: Operation, answer: Answer) -> None:
    """The answer is one that the contract names for this operation, or for a path that it does not know."""
    assert re.fullmatch(rb"[0-9a-f]{32}", answer.headers[b"x-request-id"]) or answer.headers[b"x-request-id"]
    if answer.status in {301, 307}:
        assert answer.headers[b"location"].startswith(b"/")
    elif answer.headers.get(b"content-type") == b"text/plain":
        assert (answer.status, answer.body) == (404, b"404 page not found")
    elif answer.status >= 300:
        assert answer.headers[b"content-type"] == b"application/json; charset=utf-8"
        assert list(answer.json) == ["error"]
        text = answer.json["error"]
        assert (
            answer.status == 401
            or (answer.status, text) == (403, "missing scope")
            or (answer.status, text) in NAMED[operation.name]
            or (answer.status == 400 and operation.name == "submit" and _BASE64.fullmatch(text))
        ), (answer.status, text)
    elif answer.status == 204:
        assert answer.body == b""
    elif operation.name != "metrics":
        assert answer.status == (202 if operation.name == "create" else 200)
        assert isinstance(answer.json, dict)


#: Method, path and a good body of each control route.
CONTROL: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/_fake/health", {}),
    ("GET", "/_fake/clock", {}),
    ("PUT", "/_fake/clock", {"now": "2026-11-24T06:16:00Z", "mode": "manual"}),
    ("POST", "/_fake/clock/advance", {"seconds": 1.5}),
    ("POST", "/_fake/clock/advance?", {"to": "2026-11-24T06:16:00Z"}),
    ("POST", "/_fake/next", {"ids": ["a", "b"], "delays": [1, 2]}),
    (
        "POST",
        "/_fake/reset",
        {
            "profile": "redis",
            "settings": {"BACKOFF_BASE_SECONDS": "7"},
            "yaml": "env: dev",
            "identities": dict(IDENTITIES),
            "clock": "manual",
            "now": NOW,
        },
    ),
    ("GET", "/_fake/state", {}),
    ("GET", "/_fake/tasks?status=PENDING&command=A&tenant=acme&limit=3", {}),
    ("GET", "/_fake/tasks/{id}", {}),
    ("POST", "/_fake/tasks/{id}/expire", {}),
    ("GET", "/_fake/requests?since=0&path=x&status=200", {}),
    ("GET", "/_fake/callbacks?since=0", {}),
    ("GET", "/_fake/contract", {}),
]

queries = st.lists(
    st.tuples(
        st.sampled_from(["since", "limit", "status", "path", "command", "tenant", "x"]),
        st.sampled_from(["", "-1", "1", "9" * 30, "9" * 5000, "%C2%B2", "%ff", "x", "%00", "1e3", "0x1", "%D9%A3"]),
    ),
    max_size=3,
).map(lambda pairs: "&".join("=".join(pair) for pair in pairs))


async def controlled(state: bytes, method: str, target: str, body: bytes, head: Headers) -> None:
    fake = await begun(state)
    before = fake.state()
    answer = await ask(fake, method, target, body, head)
    assert answer.status in {200, 400, 404, 409}
    assert isinstance(answer.json, dict)
    if answer.status != 200:
        assert list(answer.json) == ["error"]
        assert fake.state() == before
    # Whatever was let in, the fake goes on.
    for path in ("/_fake/state", "/_fake/tasks", "/_fake/requests", "/metrics"):
        assert (await ask(fake, "GET", path, b"", ())).status == 200
    held = bearer("worker")
    assert (await ask(fake, "POST", CLAIM, b'{"commands":["A","B"]}', held)).status in {200, 204, 401}


@pytest.mark.parametrize(("method", "path", "good"), CONTROL, ids=[f"{m} {path}" for m, path, _ in CONTROL])
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_any_control_call_is_answered_or_refused(
    state: bytes, method: str, path: str, good: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["held", "spent", "waiting", "done", "none", "%00", "%ff", "%C3%A4"]))
    target = path.replace("{id}", name)
    query = data.draw(queries)
    target += f"{'&' if '?' in target else '?'}{query}" if query else ""
    body = data.draw(bodies(good))
    head = data.draw(headers("nobody"))
    asyncio.run(controlled(state, method, target, body, head))


@given(data=st.data())
def test_a_damaged_state_is_restored_whole_or_refused(state: bytes, data: st.DataObject) -> None:
    body = data.draw(bodies(json.loads(state)))
    asyncio.run(controlled(state, "PUT", "/_fake/state", body, ()))


def nested(levels: int) -> bytes:
    """JSON that nests so deep, lists and objects in turn."""
    return (b'[{"a":' * (levels // 2)) + b"[]" * (levels % 2) + b"0" * (1 - levels % 2) + b"}]" * (levels // 2)


@pytest.mark.parametrize(("levels", "status"), [(9_999, 202), (10_000, 400)])
def test_b1_a_payload_may_nest_10000_deep_counting_the_body(levels: int, status: int) -> None:
    async def created() -> int:
        body = b'{"command":"A","payload":' + nested(levels) + b"}"
        return (await ask(FakeCodeQ(identities=IDENTITIES), "POST", TASKS, body, bearer("producer"))).status

    assert asyncio.run(created()) == status


@pytest.mark.parametrize("operation", sorted(GOOD))
def test_b1_a_deeper_body_is_a_bad_body_on_each_route_even_in_a_field_that_nobody_reads(
    state: bytes, operation: str
) -> None:
    (route,) = (each for each in OPERATIONS if each.name == operation)

    async def asked(levels: int) -> Answer:
        fake = await begun(state)
        body = json.dumps(GOOD[operation]).encode()[:-1] + b',"x":' + nested(levels - 1) + b"}"
        path = route.path.replace("{id}", "s-1" if operation == "renew" else "held")
        return await ask(fake, route.method, path, body, bearer(caller_of(route)))

    legal, deeper = asyncio.run(asked(10_000)), asyncio.run(asked(10_001))
    assert legal.status < 300
    if operation in {"renew", "cleanup"}:
        assert deeper.status == 200  # B2: a bad body is no body
    else:
        assert (deeper.status, deeper.json) == (400, {"error": route.bad_body})


def test_what_nests_deep_can_be_handed_on_in_every_way() -> None:
    deep = nested(9_998)

    async def lived() -> None:
        fake = FakeCodeQ(identities=IDENTITIES, now=NOW)
        worker, body = bearer("worker"), b'{"command":"A","payload":' + deep + b"}"
        task = (await ask(fake, "POST", TASKS, body, bearer("producer"))).json["id"]
        claimed = await ask(fake, "POST", CLAIM, b'{"commands":["A"]}', worker)
        assert claimed.json["payload"].encode() == deep
        body = b'{"status":"COMPLETED","result":{"a":' + deep + b"}}"
        assert (await ask(fake, "POST", f"{TASKS}/{task}/result", body, worker)).status == 200
        assert deep in (await ask(fake, "GET", f"{TASKS}/{task}/result", b"", worker)).body
        shown = (await ask(fake, "GET", f"/_fake/tasks/{task}", b"", ())).json
        assert shown["result"]["result"].encode() == b'{"a":' + deep + b"}"
        assert fake.task(task).payload.encode() == deep
        dumped = (await ask(fake, "GET", "/_fake/state", b"", ())).body
        assert (await ask(fake, "PUT", "/_fake/state", dumped, ())).status == 200
        assert (await ask(fake, "GET", "/_fake/state", b"", ())).body == dumped

    asyncio.run(lived())


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"command":' * 100_000, b'[{"a":' * 100_000])
@pytest.mark.parametrize("path", [TASKS, "/_fake/reset", "/_fake/clock/advance"])
def test_nothing_overflows_the_stack(path: str, body: bytes) -> None:
    answer = asyncio.run(ask(FakeCodeQ(identities=IDENTITIES), "POST", path, body, bearer("producer")))
    assert answer.status == 400


MEBIBYTE = 1024 * 1024


def upload(size: int, taken: list[int]) -> Iterator[bytes]:
    """So many bytes of white space, made as they are asked for."""
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


def test_a_body_is_not_read_where_none_is_wanted() -> None:
    taken: list[int] = []
    answer = asyncio.run(uploaded(upload(2 * LARGEST_BODY, taken), f"{TASKS}/x/heartbeat"))
    assert (answer.status, taken) == (401, [])
