"""Shared by the tests of the simulation: a world that only notes what is done to it, and the evidence of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from codeq_fake.control.fault_rules import FaultControls
from codeq_fake.journal import Request
from codeq_fake.simulation.evidence import Evidence
from codeq_fake.simulation.leases import Leases
from codeq_fake.simulation.plan import Event
from codeq_fake.simulation.recording import recording
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOSTS = ("worker-1", "worker-2", "worker-3")
START, STARTED_AT, SECOND = "2026-01-31T12:00:00Z", 1_769_860_800_000_000_000, 1_000_000_000
#: The scopes of a worker that may make each call.
ALL = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"


@dataclass
class Recorder:
    """Stands for a host, a wire or the server: notes each call as `name.method(arguments)`."""

    name: str
    calls: list[str]
    is_up: bool = True

    def __getattr__(self, method: str) -> Callable[..., None]:
        if method.startswith("_"):
            raise AttributeError(method)

        def note(*args: Any, **named: Any) -> None:
            shown = [*map(repr, args), *(f"{key}={value!r}" for key, value in named.items())]
            self.calls.append(f"{self.name}.{method}({', '.join(shown)})")

        return note


@dataclass
class NotedWorld:
    """A world in which nothing happens but that each act is noted in `calls`, and each appointment in `later`."""

    fake: Any = None
    calls: list[str] = field(default_factory=list)
    later: list[tuple[float, Callable[[], Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts: Mapping[str, Any] = {name: Recorder(name, self.calls) for name in HOSTS}
        self.lasting: dict[tuple[str, str], list[Event]] = {}
        self.calm_since: float | None = None
        self.server: Any = Recorder("server", self.calls)
        self.faults: Any = FaultControls(self.fake._runtime) if self.fake else None  # noqa: SLF001 - as the world does

    def wire(self, host: str) -> Any:
        return Recorder(f"wire of {host}", self.calls)

    def at(self, when: float, function: Callable[[], Any]) -> None:
        self.later.append((when, function))


def evidence(**fields: Any) -> Evidence:
    """The evidence of a run in which nothing happened, but for these fields."""
    nothing: dict[str, Any] = {
        "end": 1000.0,
        "calm_since": 150.0,
        "started_at": 0,
        "requests": (),
        "tasks": (),
        "hosts": HOSTS,
        "running": HOSTS,
        "errors": (),
        "recording": recording(FakeCodeQ(now=START)._runtime, STARTED_AT),  # noqa: SLF001 - as the world does
    }
    return Evidence(**{**nothing, **fields})


class Run:
    """A run on a fake whose clock the test moves. Its hosts send one request at a time."""

    def __init__(self) -> None:
        claims = {"sub": None, "tenantId": "shop"}
        identities: dict[str, Any] = {
            host: {"kind": "worker", "claims": {**claims, "sub": host, "scope": ALL, "eventTypes": ["*"]}}
            for host in HOSTS
        }
        identities["producer"] = {"kind": "producer", "claims": {**claims, "sub": "producer", "role": "ADMIN"}}
        self.fake = FakeCodeQ(now=START, identities=identities)
        self._clients = {name: self.fake.client(name) for name in identities}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.fake.close()

    def now(self) -> float:
        return self.fake.time() - STARTED_AT / SECOND

    def advance(self, seconds: float) -> None:
        self.fake.advance(seconds)

    def create(self, max_attempts: int = 5) -> str:
        return self.fake.enqueue("CHARGE", {"order": 1}, max_attempts=max_attempts).id

    def post(self, host: str, path: str, content: bytes) -> int:
        return self._clients[host].post(path, content=content).status_code

    def claim(self, host: str, lease: int = 60) -> int:
        wanted = {"commands": ["CHARGE"], "leaseSeconds": lease}
        return self.post(host, "/v1/codeq/tasks/claim", json.dumps(wanted).encode())

    def heartbeat(self, host: str, task: str) -> int:
        return self.post(host, f"/v1/codeq/tasks/{task}/heartbeat", b'{"extendSeconds": 60}')

    def finish(self, host: str, task: str) -> int:
        return self.post(host, f"/v1/codeq/tasks/{task}/result", b'{"status": "COMPLETED", "result": {"order": 1}}')

    def leases(self) -> Leases:
        return Leases(self.requests, self.fake.tasks(), STARTED_AT)

    def evidence(self, **fields: Any) -> Evidence:
        """What the laws see now."""
        found = {
            "end": self.now(),
            "started_at": STARTED_AT,
            "requests": self.requests,
            "tasks": self.fake.tasks(),
            "recording": recording(self.fake._runtime, STARTED_AT),  # noqa: SLF001 - as the world does
        }
        return evidence(**{**found, **fields})

    @property
    def requests(self) -> tuple[Request, ...]:
        return tuple(self.fake._runtime.requests.entries)  # noqa: SLF001 - as the world does
