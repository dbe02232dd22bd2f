"""Clients that do everything right, and demand that each reply comes and is right. Each deletes its tasks."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable

    #: Does its work once, with a separate connection and a command that no other client uses.
    Client = Callable[[httpx.AsyncClient, str], Awaitable[None]]

_TASKS = "/v1/codeq/tasks"
#: How long a reply, or a callback, may take (s). The probe measures delays; here only what is lost counts.
_LOST = 60.0
_WAIT = 1
#: More than the head of a request may have: a refusal of the head leaves this much of the body to skip (bytes).
_LARGE = 2 * 1024 * 1024
#: How many live updates a viewer of the page waits for.
_UPDATES = 5


class Sound:
    """All sound clients of one server, and the receivers of their callbacks."""

    def __init__(self, url: str, counts: Counter[str], wrong: list[str]) -> None:
        self._url = url
        self._counts = counts
        self._wrong = wrong
        self._numbers = itertools.count()
        self._delivered: dict[str, asyncio.Event] = {}
        self._receivers: dict[str, str] = {}
        #: The connections of callbacks that are never answered.
        self._silent: list[asyncio.StreamWriter] = []
        #: How many of each there are, side by side.
        self.clients: dict[Client, int] = {
            self.work: 8,
            self.wait_in_vain: 3,
            self.wait_for_a_callback: 3,
            self.work_for_a_dead_receiver: 2,
            self.work_for_a_slow_receiver: 2,
            self.watch_the_page: 2,
            self.go_on_after_a_refusal: 1,
        }

    async def run(self, client: Client, until: asyncio.Event) -> None:
        """Let one client go on until the event is set."""
        headers = {"authorization": "Bearer dev-token"}
        # One command a client, not one a task: the metrics have lines for each command for ever.
        command = f"SOUND-{next(self._numbers)}"
        # The server closes a connection that does nothing for 5 s.
        limits = httpx.Limits(keepalive_expiry=2)
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=_LOST, limits=limits, trust_env=False
        ) as http:
            while not until.is_set():
                try:
                    await client(http, command)
                except (httpx.HTTPError, AssertionError, KeyError, ValueError, OSError) as error:
                    self._wrong.append(f"{client.__name__}: {type(error).__name__}: {error}")
                else:
                    self._counts[client.__name__] += 1
                await asyncio.sleep(0.01)

    async def receivers(self, stack: AsyncExitStack) -> None:
        """Start the receivers of callbacks, for as long as the stack lasts."""
        for name, answer in (("good", self._answer), ("slow", self._never_answer)):
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            self._receivers[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        stack.callback(self._hang_up)
        self._receivers["dead"] = "http://127.0.0.1:9/"

    def _hang_up(self) -> None:
        for writer in self._silent:
            writer.close()

    async def work(self, http: httpx.AsyncClient, command: str) -> None:
        """Create a task, claim it, keep its lease, complete it, and read the result."""
        await self._whole_task(http, command)

    async def wait_for_a_callback(self, http: httpx.AsyncClient, command: str) -> None:
        """Do the same with a task whose result is sent to a receiver."""
        await self._whole_task(http, command, self._receivers["good"])

    async def work_for_a_dead_receiver(self, http: httpx.AsyncClient, command: str) -> None:
        """Do the same with a task whose receiver refuses connections."""
        await self._whole_task(http, command, self._receivers["dead"])
        await asyncio.sleep(0.2)

    async def work_for_a_slow_receiver(self, http: httpx.AsyncClient, command: str) -> None:
        """Do the same with a task whose receiver never answers."""
        await self._whole_task(http, command, self._receivers["slow"])
        await asyncio.sleep(0.5)

    async def watch_the_page(self, http: httpx.AsyncClient, _: str) -> None:
        """Follow the page's live updates until some changes have come: the other clients make many."""
        async with asyncio.timeout(_LOST), http.stream("GET", "/_fake/page/events") as reply:
            assert reply.status_code == httpx.codes.OK, f"the page's events: {reply.status_code}"
            updates = 0
            async for line in reply.aiter_lines():
                assert line in {"", "retry: 300", "data: look"}, f"the page's events: {line}"
                updates += line == "data: look"
                if updates == _UPDATES:
                    return
        raise ValueError("the page's events ended")

    async def wait_in_vain(self, http: httpx.AsyncClient, command: str) -> None:
        """Wait for a task that does not come: the server says so after the time asked for."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        reply = await http.post(f"{_TASKS}/claim", json={"commands": [command], "waitSeconds": _WAIT})
        _expect(reply, 204)
        assert loop.time() - began >= _WAIT - 0.1, "a long poll ended early"

    async def go_on_after_a_refusal(self, http: httpx.AsyncClient, command: str) -> None:
        """Send a large body with a wrong token, and then work on the same connection."""
        refused = await http.post(_TASKS, content=b" " * _LARGE, headers={"authorization": "Bearer wrong"})
        _expect(refused, 401)
        port = _port(refused)
        after = await http.get("/_fake/health")
        _expect(after, 200)
        assert _port(after) == port, "a connection ended after a refusal"
        await self._whole_task(http, command)
        await asyncio.sleep(0.5)

    async def _whole_task(self, http: httpx.AsyncClient, command: str, webhook: str = "") -> None:
        payload = {"number": next(self._numbers)}
        created = _expect(
            await http.post(_TASKS, json={"command": command, "payload": payload, "webhook": webhook}), 202
        )
        task = created["id"]
        delivered = self._delivered[task] = asyncio.Event()
        try:
            claimed = _expect(await http.post(f"{_TASKS}/claim", json={"commands": [command], "waitSeconds": 1}), 200)
            assert (claimed["id"], json.loads(claimed["payload"])) == (task, payload), f"claimed {claimed}"
            _expect(await http.post(f"{_TASKS}/{task}/heartbeat", json={"extendSeconds": 60}), 200)
            result = {"status": "COMPLETED", "result": payload}
            _expect(await http.post(f"{_TASKS}/{task}/result", json=result), 200)
            read = _expect(await http.get(f"{_TASKS}/{task}/result"), 200)
            assert read["result"]["result"] == payload, f"read {read}"
            if webhook == self._receivers["good"]:
                await asyncio.wait_for(delivered.wait(), _LOST)
        finally:
            del self._delivered[task]
        _expect(await http.delete(f"/_fake/tasks/{task}"), 200)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a callback as a receiver should."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            if body["taskId"] in self._delivered:
                self._delivered[body["taskId"]].set()
        writer.close()

    async def _never_answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a callback and say nothing, until the receivers end."""
        self._silent.append(writer)


def _port(reply: httpx.Response) -> int:
    """The client's port of the connection that a reply came on."""
    port: int = reply.extensions["network_stream"].get_extra_info("client_addr")[1]
    return port


def _expect(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The reply's JSON, if its status is this one."""
    assert reply.status_code == status, f"{reply.request.method} {reply.request.url.path}: {reply.status_code}"
    return reply.json() if reply.content else {}
