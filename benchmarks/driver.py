"""The load driver: clients that send requests as fast as they are answered. It costs much less than the server.

It runs in a separate process, so that it and the server each have a core. Requests are bytes made beforehand, sockets
are read without an HTTP library, and only the needed part of a reply is read.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    #: The work of one client: it yields a request, receives the body of the reply, and repeats.
    Script = Generator[bytes, bytes, None]

TASK = {"command": "BENCH", "payload": {"jobId": "job-123", "size": 42}, "priority": 5}
#: How many tasks a batch creates, and how many one claims.
_BATCH, _CLAIMED = 100, 10
#: The calls of one task, and those of the tasks that one batch creates.
CALLS_OF_A_TASK, CALLS_OF_A_BATCH, TASKS_OF_A_BATCH = 3, 1 + _BATCH // _CLAIMED + 1, _BATCH
_HEAD_END = b"\r\n\r\n"
_STATUS = slice(len("HTTP/1.1 "), len("HTTP/1.1 200"))
_GOOD = (b"200", b"202")
_LENGTH = b"content-length: "
_ID_AT = len('{"id":"')
_ID_LENGTH = 36
_RECEIVED_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a round: answered requests, seconds, and the CPU seconds of the driver."""

    requests: int
    seconds: float
    driver_cpu_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def post(path: str, body: object, token: str = "dev-token") -> bytes:  # noqa: S107 - the fake's own default
    """A POST request as bytes."""
    text = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


TASKS_PATH = "/v1/codeq/tasks"
_CLAIM = {"commands": [TASK["command"]], "leaseSeconds": 60}
_CLAIM_BATCH = {**_CLAIM, "count": _CLAIMED}
_RESULT = {"status": "COMPLETED", "result": {"ok": True}}
CREATE = post(TASKS_PATH, TASK)
CLAIM = post(f"{TASKS_PATH}/claim", _CLAIM)
_COMPLETE = post(f"{TASKS_PATH}/{{id}}/result", _RESULT).split(b"{id}")


def cycles() -> Script:
    """Create a task, claim one, complete it, and repeat."""
    before_id, after_id = _COMPLETE
    while True:
        yield CREATE
        claimed = yield CLAIM
        yield before_id + claimed[_ID_AT : _ID_AT + _ID_LENGTH] + after_id


def batch_cycles() -> Script:
    """Create tasks, claim and complete them, all in batches, and repeat."""
    create = post(f"{TASKS_PATH}/batch", {"tasks": [TASK] * _BATCH})
    claim = post(f"{TASKS_PATH}/claim/batch", _CLAIM_BATCH)
    while True:
        yield create
        results = []
        for _ in range(_BATCH // _CLAIMED):
            claimed = yield claim
            results += [{"taskId": task["id"], **_RESULT} for task in json.loads(claimed)["tasks"]]
        yield post(f"{TASKS_PATH}/batch/results", {"results": results})


def posts(path: str) -> Script:
    """Post one task to `path` repeatedly."""
    request = post(path, TASK)
    while True:
        yield request


def once(request: bytes) -> Script:
    """One request."""
    yield request


def batches(count: int) -> Script:
    """Create `count` tasks that no worker claims, in batches of a hundred."""
    request = post(f"{TASKS_PATH}/batch", {"tasks": [TASK] * _BATCH})
    for _ in range(0, count, _BATCH):
        yield request


class Client:
    """One connection and its script."""

    def __init__(self, address: tuple[str, int], script: Script) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._script = script
        self._received = b""

    def start(self) -> None:
        """Send the first request."""
        self.socket.sendall(next(self._script))

    def receive(self) -> bytes | None:
        """Read what has arrived, and return the body of a reply that is complete.

        Raises RuntimeError for a refusal or a claim that found nothing. Neither happens in a valid benchmark.
        """
        arrived = self.socket.recv(_RECEIVED_AT_ONCE)
        if not arrived:
            raise RuntimeError("the server hung up")
        received = self._received + arrived
        head_end = received.find(_HEAD_END)
        if head_end >= 0 and received[_STATUS] not in _GOOD:
            raise RuntimeError(received.decode())
        body_at = head_end + len(_HEAD_END)
        if head_end < 0 or len(received) < body_at + _length(received, head_end):
            self._received = received
            return None
        self._received = b""
        return received[body_at:]

    def go_on(self, body: bytes) -> bool:
        """Send the request that follows a reply. Return False when the script has ended."""
        try:
            request = self._script.send(body)
        except StopIteration:
            return False
        self.socket.sendall(request)
        return True


def _length(received: bytes, head_end: int) -> int:
    at = received.find(_LENGTH, 0, head_end) + len(_LENGTH)
    return int(received[at : received.find(b"\r", at)])


def drive(url: str, scripts: Sequence[Script], seconds: float = float("inf")) -> Load:
    """Run the scripts, each on a separate connection, until they end or `seconds` have passed."""
    parts = urlsplit(url)
    clients = [Client((parts.hostname or "", parts.port or 80), script) for script in scripts]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        answered, running = 0, len(clients)
        cpu, start = time.process_time(), time.perf_counter()
        end = start + seconds
        for client in clients:
            client.start()
        while running and time.perf_counter() < end:
            for key, _ in selector.select():
                client = key.data
                body = client.receive()
                if body is not None:
                    answered += 1
                    running -= not client.go_on(body)
        load = Load(answered, time.perf_counter() - start, time.process_time() - cpu)
    for client in clients:
        client.socket.close()
    return load


def _script(options: argparse.Namespace) -> Script:
    if options.path:
        return posts(options.path)
    return batch_cycles() if options.batches else cycles()


def main(arguments: Sequence[str] | None = None) -> None:
    """Load a server and print the `Load` as JSON."""
    parser = argparse.ArgumentParser(description="Load a CodeQ server: create, claim and complete tasks.")
    parser.add_argument("url")
    parser.add_argument("-c", "--clients", type=int, default=1)
    parser.add_argument("-t", "--seconds", type=float, default=5)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--path", help="post to this path, and do nothing else")
    what.add_argument("--batches", action="store_true", help="do the same in batches")
    what.add_argument("--fill", type=int, metavar="N", help="create N tasks in batches, and do nothing else")
    options = parser.parse_args(arguments)
    if options.fill is not None:
        load = drive(options.url, [batches(options.fill)])
    else:
        scripts = [_script(options) for _ in range(options.clients)]
        load = drive(options.url, scripts, options.seconds)
    json.dump(asdict(load), sys.stdout)


if __name__ == "__main__":
    main()
