"""A scripted server for the client's unit tests: it performs flows without a network and without real time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from codeq_client._api.base_client import tokens_by_role
from codeq_client._api.calls import Reply as Reply  # noqa: PLC0414 - tests take it from here
from codeq_client._api.calls import Role
from codeq_client._api.sending import Core, FetchToken, Flow, Pause, Send
from codeq_client._api.tokens import TokenSource
from codeq_client.errors import CodeQError, Unavailable
from codeq_fake.testing import FakeCodeQ

T = TypeVar("T")

TASK: dict[str, Any] = {"id": "t-1", "command": "X", "payload": "{}", "status": "IN_PROGRESS", "attempts": 1}
LOST = Unavailable("the answer was lost", sent=True)
UNREACHED = Unavailable("connection refused", sent=False)


def reply(status: int = 200, body: object = None, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


def refusal(status: int, error: str, **headers: str) -> Reply:
    return reply(status, {"error": error}, **headers)


@dataclass
class StillClock:
    now: float = 1000.0
    thread_safe: bool = False
    suspends: bool = False

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def sleep_blocking(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class ScriptedServer:
    """Answers each request with the next of `answers`, and records requests and pauses."""

    answers: Sequence[Reply | CodeQError | Callable[[Send], Reply]]
    worker: TokenSource = "worker"
    retries: int = 3
    is_known_not_to_wait: bool = True
    """Whether the client has found out before that there are no long polls for results."""
    sent: list[Send] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    clock: StillClock = field(default_factory=StillClock)

    def __post_init__(self) -> None:
        tokens = tokens_by_role({Role.PRODUCER: "producer", Role.WORKER: self.worker})
        self.core = Core(self.clock, tokens, 30.0, self.retries, lambda: 1.0)
        self.core.long_polls.are_missing = self.is_known_not_to_wait
        self._left = list(self.answers)

    @property
    def paths(self) -> list[str]:
        return [f"{send.call.method} {send.call.path.removeprefix('/v1/codeq')}" for send in self.sent]

    def bodies(self) -> list[Any]:
        return [json.loads(send.call.body) for send in self.sent if send.call.body is not None]

    def run(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                outcome: Any = None
                match step:
                    case Pause(seconds):
                        self.pauses.append(seconds)
                        self.clock.now += seconds
                    case FetchToken(provider):
                        outcome = provider()
                    case Send():
                        self.sent.append(step)
                        answer = self._left.pop(0)
                        outcome = answer(step) if callable(answer) else answer
                step = flow.throw(outcome) if isinstance(outcome, CodeQError) else flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def token(self, role: Role) -> Any:
        return self.core.tokens[role]


def output_about_tasks(script: str) -> tuple[str, str]:
    """Run a script on a fake with four tasks, whose ids are its arguments, and return its output and its errors."""
    with FakeCodeQ(clock="real") as fake, fake.serve():
        ids = [fake.enqueue("X", {}).id for _ in range(4)]
        command = [sys.executable, "-c", script, *ids]
        run = subprocess.run(command, env=fake.env, capture_output=True, text=True, timeout=60, check=False)
    return run.stdout, run.stderr
