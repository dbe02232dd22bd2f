"""The paths, and what all replies have in common: R1 to R22."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.http import OPERATIONS
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from tests.clauses import CLAUSE_OF
from tests.http.support import TASKS, V1, Connection, ask, bearer, request_scope

if TYPE_CHECKING:
    import httpx
    from starlette.types import Message, Scope

    from codeq_fake.http import Operation
    from codeq_fake.testing import FakeCodeQ

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")

#: Section 1 of the contract.
SURFACE = {
    "R1": "POST /v1/codeq/tasks",
    "R2": "POST /v1/codeq/tasks/batch",
    "R3": "POST /v1/codeq/tasks/claim",
    "R4": "POST /v1/codeq/tasks/claim/batch",
    "R5": "POST /v1/codeq/tasks/:id/heartbeat",
    "R6": "POST /v1/codeq/tasks/:id/abandon",
    "R7": "POST /v1/codeq/tasks/:id/nack",
    "R8": "POST /v1/codeq/tasks/:id/result",
    "R9": "POST /v1/codeq/tasks/batch/results",
    "R10": "POST /v1/codeq/workers/subscriptions",
    "R11": "POST /v1/codeq/workers/subscriptions/:id/heartbeat",
    "R12": "GET /v1/codeq/tasks/:id",
    "R13": "GET /v1/codeq/tasks/:id/result",
    "R14": "GET /v1/codeq/admin/queues",
    "R15": "GET /v1/codeq/admin/queues/:command",
    "R16": "POST /v1/codeq/admin/tasks/cleanup",
    "R17": "GET /metrics",
}
PATHS = sorted({line.split()[1] for line in SURFACE.values()})

NOT_FOUND = (404, "text/plain", "404 page not found")


def summary(reply: httpx.Response) -> tuple[int, str, str]:
    return reply.status_code, reply.headers["content-type"], reply.text


def example(path: str) -> str:
    return re.sub(r":\w+", "x", path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: CLAUSE_OF[operation.name])
def test_r1_to_r17_each_route_has_its_method_and_path(operation: Operation) -> None:
    path = re.sub(r"\{(\w+)\}", r":\1", operation.path)
    assert SURFACE[CLAUSE_OF[operation.name]] == f"{operation.method} {path}"


@pytest.mark.parametrize("clause", SURFACE)
def test_r1_to_r17_each_route_is_served(producer: httpx.Client, clause: str) -> None:
    method, path = SURFACE[clause].split()
    assert summary(producer.request(method, example(path))) != NOT_FOUND


@pytest.mark.parametrize("path", PATHS)
def test_r18_with_a_wrong_method_a_path_is_unknown(producer: httpx.Client, path: str) -> None:
    # What R12's pattern matches too is a task of that name.
    good = {"GET"} if re.fullmatch(rf"{TASKS}/[^/]+(/result)?", path) else set()
    for method in set(METHODS) - good:
        if f"{method} {path}" in SURFACE.values():
            continue
        assert summary(producer.request(method, example(path))) == NOT_FOUND, method


@pytest.mark.parametrize("path", ["/metrics", f"{TASKS}/x", f"{V1}/admin/queues", "/nope"])
def test_r18_head_is_unknown_too_and_has_no_body(producer: httpx.Client, path: str) -> None:
    reply = producer.head(path)
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (404, "text/plain", b"")
    assert reply.headers["content-length"] == "18"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/nope",
        "/v1",
        "/v1//codeq/tasks/x",
        "/V1/codeq/tasks/x",
        "/v1/codeq/Tasks/x",
        "/v1/codeq/tasks",
        "/v1/codeq/tasks/x/unknown",
        "/v1/codeq/tasks/a%2Fb",
        "/v1/codeq/workers/subscriptions/x",
        "/v1/codeq/admin",
        "/v1/codeq/admin/queues/a/b",
        "/Metrics",
        "/_fak",
    ],
)
def test_r18_unknown_paths_are_404_without_authentication(codeq: FakeCodeQ, path: str) -> None:
    with codeq.client(headers={"authorization": ""}) as anonymous:
        assert summary(anonymous.get(path)) == NOT_FOUND


@pytest.mark.parametrize("name", ["claim", "batch", "a%20b", "a.b", "%C3%A4", "null"])
def test_r18_get_takes_any_segment_for_a_tasks_id(producer: httpx.Client, name: str) -> None:
    reply = producer.get(f"{TASKS}/{name}")
    assert (reply.status_code, reply.text) == (404, '{"error":"not found"}')


def test_r18_a_query_is_ignored(producer: httpx.Client) -> None:
    reply = producer.post(f"{TASKS}?command=B&x", json={"command": "A", "payload": 1})
    assert reply.status_code == 202
    assert producer.get(f"{TASKS}/{reply.json()['id']}?x=1&x=2").json() == reply.json()


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (f"{TASKS}/abc/", f"{TASKS}/abc"),
        (f"{TASKS}/abc/result/", f"{TASKS}/abc/result"),
        (f"{V1}/admin/queues/", f"{V1}/admin/queues"),
        ("/metrics/", "/metrics"),
        (f"{TASKS}/abc/?x=1", f"{TASKS}/abc?x=1"),
        (f"{TASKS}/a%20b/", f"{TASKS}/a%20b"),
        (f"{TASKS}/%E9/", f"{TASKS}/%E9"),
        (f"{TASKS}//", f"{TASKS}/"),
        (f"{V1}/admin/queues//", f"{V1}/admin/queues/"),
        (f"{TASKS}//result/", f"{TASKS}/result"),
        (f"{TASKS}/%2F", f"{TASKS}/"),
    ],
)
def test_r19_get_with_a_trailing_slash_is_redirected_before_authentication(
    codeq: FakeCodeQ, path: str, location: str
) -> None:
    with codeq.client(headers={"authorization": ""}) as anonymous:
        reply = anonymous.get(path)
    assert summary(reply) == (
        301,
        "text/html; charset=utf-8",
        f'<a href="{location}">Moved Permanently</a>.\n\n',
    )
    assert reply.headers["location"] == location


@pytest.mark.parametrize(
    "path",
    [
        TASKS,
        f"{TASKS}/claim/batch",
        f"{TASKS}/abc/nack",
        f"{V1}/workers/subscriptions",
        f"{V1}/admin/tasks/cleanup",
        # Two oddities of the router: nothing is there, and one slash too many is left.
        f"{TASKS}/abc",
        f"{V1}/workers/subscriptions/abc",
        f"{TASKS}/",
        f"{V1}/workers/subscriptions/",
    ],
)
def test_r19_post_with_a_trailing_slash_is_redirected_without_a_body(codeq: FakeCodeQ, path: str) -> None:
    with codeq.client(headers={"authorization": ""}) as anonymous:
        reply = anonymous.post(f"{path}/", content="{}")
    assert (reply.status_code, reply.headers["location"], reply.content) == (307, path, b"")
    assert "content-type" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"{TASKS}/"), ("POST", f"{TASKS}/abc//"), ("PUT", f"{TASKS}/abc/")]
)
def test_r19_an_unknown_path_with_a_slash_stays_unknown(producer: httpx.Client, method: str, path: str) -> None:
    assert summary(producer.request(method, path)) == NOT_FOUND


def test_r19_a_location_holds_no_markup(codeq: FakeCodeQ) -> None:
    reply = asyncio.run(ask(codeq.app, "GET", f"{TASKS}/%22><%0d%0a&/"))
    assert reply.headers[b"location"] == f"{TASKS}/%22%3E%3C%0D%0A&".encode()
    assert reply.body == f'<a href="{TASKS}/%22%3E%3C%0D%0A&amp;">Moved Permanently</a>.\n\n'.encode()


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (f"{TASKS}/%2e/result/", f"{TASKS}/result"),
        (f"{TASKS}/../result/", f"{V1}/result"),
        (f"{TASKS}/%2e%2e/?..", f"{V1}?.."),
        (f"{TASKS}/!$'()*~/", f"{TASKS}/%21$%27%28%29%2A~"),
        (f"{TASKS}/\xe9/?\xe9", f"{TASKS}/%E9?%e9"),
    ],
)
def test_r19_a_location_is_resolved_and_encoded_again(codeq: FakeCodeQ, target: str, location: str) -> None:
    reply = asyncio.run(ask(codeq.app, "GET", target))
    assert (reply.status, reply.headers[b"location"]) == (301, location.encode())


def test_r19_the_query_of_a_location_is_as_it_came(codeq: FakeCodeQ) -> None:
    reply = asyncio.run(ask(codeq.app, "GET", f"{TASKS}/a/?c=%22d%22&e='<>?\""))
    assert reply.headers[b"location"] == f"{TASKS}/a?c=%22d%22&e='<>?\"".encode()
    shown = f"{TASKS}/a?c=%22d%22&amp;e=&#39;&lt;&gt;?&#34;"
    assert reply.body == f'<a href="{shown}">Moved Permanently</a>.\n\n'.encode()


@pytest.mark.parametrize(
    ("prefix", "location"),
    [
        ("/api", f"/api{TASKS}/a?q"),
        ("/a//b/../c.d/", f"/a/cd{TASKS}/a?q"),
        ("/", f"{TASKS}/a?q"),
        ("", f"{TASKS}/a?q"),
        ("api", f"api{TASKS}/api{TASKS}/a?q"),
    ],
)
def test_r19_a_redirect_has_the_prefix_of_a_proxy(codeq: FakeCodeQ, prefix: str, location: str) -> None:
    headers = [(b"x-forwarded-prefix", prefix.encode())]
    reply = asyncio.run(ask(codeq.app, "GET", f"{TASKS}/a/?q", headers=headers))
    assert reply.headers[b"location"] == location.encode()


@pytest.mark.parametrize(("method", "path"), [("GET", "result"), ("POST", "heartbeat"), ("POST", "result")])
def test_an_id_in_the_middle_of_a_path_may_be_empty(worker: httpx.Client, method: str, path: str) -> None:
    reply = worker.request(method, f"{TASKS}//{path}", json={"status": "FAILED", "error": "e"})
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.json()["error"] in ("task not found", "not-found")


@pytest.mark.parametrize("path", [f"{TASKS}/%zz", f"{TASKS}/%", f"{TASKS}/a%2", "/%zz/", "/_fake/%"])
def test_a_path_with_a_bad_percent_escape_is_refused(codeq: FakeCodeQ, path: str) -> None:
    reply = asyncio.run(ask(codeq.app, "GET", path))
    assert (reply.status, reply.headers[b"content-type"]) == (400, b"text/plain; charset=utf-8")
    assert (reply.body, reply.headers[b"connection"]) == (b"400 Bad Request", b"close")
    assert b"x-request-id" not in reply.headers


def test_a_query_with_a_bad_percent_escape_is_not_refused(codeq: FakeCodeQ) -> None:
    assert asyncio.run(ask(codeq.app, "GET", f"{TASKS}/a?%zz", headers=bearer("producer"))).status == 404


@pytest.mark.parametrize("path", [f"{TASKS}/x", "/metrics", "/nope"])
def test_r20_every_reply_has_the_callers_request_id_or_a_new_one(producer: httpx.Client, path: str) -> None:
    assert producer.get(path, headers={"X-Request-Id": "my-id-1"}).headers["x-request-id"] == "my-id-1"
    made = [producer.get(path, headers=headers).headers["x-request-id"] for headers in ({}, {"X-Request-Id": ""})]
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in made)
    assert made[0] != made[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_r20_a_redirect_has_no_request_id(producer: httpx.Client, method: str) -> None:
    reply = producer.request(method, f"{TASKS}/x/result/", headers={"X-Request-Id": "mine"})
    assert reply.is_redirect
    assert "x-request-id" not in reply.headers


def test_r20_of_a_repeated_header_the_first_counts(codeq: FakeCodeQ) -> None:
    ids = [(b"x-request-id", b"first"), (b"x-request-id", b"second")]
    for path in (f"{TASKS}/x", "/nope"):
        reply = asyncio.run(ask(codeq.app, "GET", path, headers=ids))
        assert reply.headers[b"x-request-id"] == b"first"
    tokens = [*bearer("worker"), *bearer("unknown")]
    assert asyncio.run(ask(codeq.app, "POST", f"{TASKS}/claim", [b"{}"], headers=tokens)).status == 204


def test_r20_no_content_has_a_request_id_and_neither_type_nor_length(worker: httpx.Client) -> None:
    reply = worker.post(f"{TASKS}/claim", json={"commands": ["A"]})
    assert (reply.status_code, reply.content, set(reply.headers)) == (204, b"", {"x-request-id"})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
def test_r21_the_content_type_of_a_request_is_ignored(producer: httpx.Client, content_type: str) -> None:
    reply = producer.post(TASKS, content='{"command":"A","payload":{}}', headers={"content-type": content_type})
    assert reply.status_code == 202
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


def test_r21_r22_errors_are_json_too(producer: httpx.Client) -> None:
    reply = producer.post(TASKS, content="no JSON")
    assert summary(reply) == (400, "application/json; charset=utf-8", '{"error":"invalid body"}')


def test_r23_text_in_an_error_is_escaped(worker: httpx.Client, codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", tenant="acme")
    worker.post(f"{TASKS}/claim", json={"commands": ["A"]})
    artifact = {"name": '<&>"\u2028\u0001é', "contentBase64": "?"}
    reply = worker.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "artifacts": [artifact]})
    assert reply.text == (
        r'{"error":"artifact \u003c\u0026\u003e\"\u2028\u0001é base64 decode: illegal base64 data at input byte 0"}'
    )


def test_a_websocket_is_ignored(codeq: FakeCodeQ) -> None:
    client = Connection()
    asyncio.run(_serve(codeq, {**request_scope("GET", "/nope"), "type": "websocket"}, client))
    assert client.sent == []


def test_another_server_may_start_and_end_the_application(codeq: FakeCodeQ) -> None:
    exchanged: list[str] = []

    async def receive() -> Message:
        event = "shutdown" if exchanged else "startup"
        exchanged.append(event)
        return {"type": f"lifespan.{event}"}

    async def send(message: Message) -> None:
        exchanged.append(message["type"])

    async def run() -> None:
        await codeq.app({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert exchanged == ["startup", "lifespan.startup.complete", "shutdown", "lifespan.shutdown.complete"]


async def _serve(codeq: FakeCodeQ, scope: Scope, client: Connection) -> None:
    await codeq.app(scope, client.receive, client.send)


def test_without_the_control_api_there_are_only_the_contracts_routes() -> None:
    app = application(FakeServer(Config(), WallClock("manual")), with_control=False)
    reply = asyncio.run(ask(app, "GET", "/_fake/health"))
    assert (reply.status, reply.body) == (404, b"404 page not found")
