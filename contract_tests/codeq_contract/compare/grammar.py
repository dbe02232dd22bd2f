"""Draws plans: odd requests that build on the tasks, leases and subscriptions of earlier ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from . import vocabulary as words
from .callers import ODD_PRODUCERS, ODD_WORKERS
from .steps import BEARER, Body, Plan, Send, Step, Wait, id_in_reply

#: How likely a part of a request is odd. A session has one of these: sound requests reach deeper states.
_ODDITIES = (0.0, 0.02, 0.02, 0.1)
#: How many of the newest tasks and subscriptions requests are about.
_RECENT = 6
#: How many of the newest claims they are about: older ones have likely ended.
_HELD = 2
#: How likely a field that is not usual is in a body.
_RARE = 0.3
#: How likely a caller's token is odd, or the caller one of the other tenant.
_OTHER_CALLER = 0.08
#: How likely a request is by the second worker of the tenant.
_OTHER_WORKER = 0.15
#: A batch has few items, or as many as the contract allows, or one more.
_MOST_ITEMS, _LARGEST_BATCH = 3, 100


@dataclass(frozen=True, slots=True)
class Pace:
    """The times in a plan, in seconds: those that end in a wait, those that never end, and the waits."""

    short: Sequence[int]
    long: Sequence[int]
    waits: Sequence[float]
    most_waits: int
    #: How likely a claim is a long poll of a second.
    polls: float


#: Where one of the servers waits in real time. No short time ends outside of a wait, whatever the store rounds (K8),
#: and no long one ends within a session.
REAL = Pace(short=(3,), long=(60, 300, 3600), waits=(3.6,), most_waits=2, polls=0.0)
#: For two fakes whose clocks stand still: each edge is met exactly.
VIRTUAL = Pace(
    short=(1, 2, 3, 10),
    long=(60, 300, 3600, 90_000),
    waits=(0.001, 0.25, 0.499, 0.5, 0.501, 1, 1.5, 2, 2.5, 3, 5, 8, 10, 32, 60, 300, 3600, 90_000),
    most_waits=8,
    polls=0.1,
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """Draws plans of about `size` requests.

    `has_odd_tokens` says whether the suite can sign tokens. If not, plans have the `callers` only. `is_direct` says
    that no proxy is in between, which might refuse or change a target.
    """

    pace: Pace
    callers: frozenset[str]
    has_odd_tokens: bool
    is_direct: bool
    size: int = 40

    def plan(self, seed: str) -> Plan:
        """The plan of this seed."""
        return _Draft(self, random.Random(seed)).plan()  # noqa: S311 - no secret depends on it


@dataclass(slots=True)
class _Draft:
    """A plan while it is drawn."""

    grammar: Grammar
    rnd: random.Random
    #: The ids that earlier replies may have: of new tasks, of claimed ones, and of subscriptions.
    tasks: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)
    #: How many tasks were created and not claimed, if all that was sound.
    ready: int = 0
    #: Lifetimes of subscriptions. Those that expire in one second are in the order of their ids, which are random (U6).
    lifetimes: Iterator[int] = field(default_factory=lambda: count(307, 7))
    counter: Iterator[int] = field(default_factory=count)
    #: How likely a part of a request is odd: in the session, and in the request that is being drawn.
    usual_oddity: float = 0.0
    oddity: float = 0.0

    def plan(self) -> Plan:
        rnd, pace = self.rnd, self.grammar.pace
        self.usual_oddity = rnd.choice(_ODDITIES)
        size = rnd.randint(self.grammar.size // 2, self.grammar.size * 3 // 2)
        steps: list[Step] = [self._request(number) for number in range(size)]
        for _ in range(rnd.randint(0, pace.most_waits)):
            steps.insert(rnd.randint(1, len(steps)), Wait(rnd.choice(pace.waits)))
        return (*steps, *self._audit(size))

    def _audit(self, number: int) -> Iterator[Send]:
        """Requests that read what the session has left behind, from that number on."""
        tasks = self.tasks[-_RECENT:]
        targets = [*(path.replace("{task}", task) for task in tasks for path in words.READINGS), *words.TOTALS]
        for place, target in enumerate(targets, start=number):
            caller = "admin" if "admin" in self.grammar.callers else "producer"
            yield Send(place, "GET", target, caller, (BEARER,))

    def _request(self, number: int) -> Send:
        """The next request of a session, drawn by the weights of the operations."""
        rnd = self.rnd
        [operation] = rnd.choices(words.OPERATIONS, [each.weight for each in words.OPERATIONS])
        self.oddity = max(self.usual_oddity, operation.oddity)
        method = rnd.choice(words.METHODS) if self._is_odd() else operation.method
        target = self._target(operation.path)
        body = self._body(operation) if method != "GET" and operation.method == "POST" else None
        self._note_ids(operation, number, body)
        return Send(
            number, method, target, self._caller(operation.side, operation.scope), self._headers(operation.side), body
        )

    def _is_odd(self) -> bool:
        return self.rnd.random() < self.oddity

    # Targets.

    def _target(self, path: str) -> str:
        """A path with the ids that its placeholders stand for, rarely changed to an odd one, and perhaps a query."""
        path = path.replace("{task}", self._id(self.tasks)).replace("{subscription}", self._id(self.subscriptions))
        path = path.replace("{held}", self._held())
        path = path.replace("{command}", self.rnd.choice(words.COMMANDS_IN_PATHS))
        if self._is_odd():
            changes = (
                f"{path}/",
                path.replace("/v1", "//v1"),
                path.upper() if "{" not in path else path,
                path.replace("codeq", "code%71"),
                f"/x/..{path}",
                self.rnd.choice(words.PATHS),
                *([f"http://codeq.test:81{path}/"] * self.grammar.is_direct),
            )
            path = self.rnd.choice(changes)
        return path + (self.rnd.choice(words.QUERIES) if self._is_odd() else "")

    def _id(self, known: Sequence[str]) -> str:
        """One of the newest ids. Rarely one that no server has."""
        is_known = known and not self._is_odd()
        return self.rnd.choice(known[-_RECENT:]) if is_known else self.rnd.choice(words.IDS)

    def _held(self) -> str:
        """The id of a task that a worker may hold. Rarely of any other."""
        return self._id(self.tasks if self.rnd.random() < _RARE else self.held[-_HELD:])

    def _note_ids(self, operation: words.Operation, number: int, body: Body | str | None) -> None:
        """Note the ids that the reply to a request may have."""
        if operation.body in {"claim", "claim_batch"} and self.ready:
            self.ready -= 1
            self.held.append(id_in_reply(number))
        if operation.body == "subscribe":
            self.subscriptions.append(id_in_reply(number))
        elif operation.body == "create":
            items = len(body.parts) if operation.batch and isinstance(body, Body) and body.parts else 1
            self.ready += items
            self.tasks.extend(id_in_reply(number, index) for index in range(items))

    # Callers and headers.

    def _caller(self, side: str, scope: str) -> str:
        """The name of a caller on this side of the API; sometimes another one. Empty if there is none."""
        rnd = self.rnd
        side = rnd.choice(("producer", "worker", "admin")) if side == "reader" or self._is_odd() else side
        if rnd.random() < _OTHER_CALLER:
            if scope and self.grammar.has_odd_tokens and rnd.random() < _RARE:
                return rnd.choice((f"worker without {scope}", f"worker with {scope} alone"))
            odd = ODD_WORKERS if side == "worker" else ODD_PRODUCERS
            others = [*odd] * self.grammar.has_odd_tokens + [name for name in self.grammar.callers if side in name]
            return rnd.choice(sorted(others) or [""])
        if side == "worker" and "worker2" in self.grammar.callers and rnd.random() < _OTHER_WORKER:
            return "worker2"
        return side if side in self.grammar.callers else "producer" * bool(side)

    def _headers(self, side: str) -> tuple[tuple[str, str], ...]:
        """The token of the caller, and rarely odd headers."""
        rnd = self.rnd
        headers = [(BEARER[0], rnd.choice(words.AUTHORIZATIONS)) if self._is_odd() else BEARER]
        if not side or self._is_odd():
            headers = []
        if self._is_odd():
            headers.append(("Content-Type", rnd.choice(words.CONTENT_TYPES)))
        if self._is_odd():
            headers.append(rnd.choice(words.HEADERS))
        return tuple(headers)

    # Bodies.

    def _body(self, operation: words.Operation) -> Body | str | None:
        """The body of a request, with several items for a batch; rarely something else around it."""
        if operation.body == "abandon":
            return self.rnd.choice((None, "{}", "x"))
        if operation.batch:
            items = tuple(self._object(operation.body) for _ in range(self._size_of_batch()))
            body = Body(f'{{"{self._key(operation.batch)}":[', items, "]}")
        else:
            body = self._object(operation.body)
        return self.rnd.choice(words.BODIES).replace("%s", str(body)) if self._is_odd() else body

    def _size_of_batch(self) -> int:
        if self._is_odd():
            return self.rnd.choice((0, _LARGEST_BATCH, _LARGEST_BATCH + 1))
        return self.rnd.randint(1, _MOST_ITEMS)

    def _object(self, kind: str) -> Body:
        """A JSON object with the usual fields of this kind of body, some of the others, and rarely odd ones."""
        rnd = self.rnd
        fields = words.FIELDS["result" if kind == "result_of" else kind]
        members = [f'"taskId":"{self._held()}"'] if kind == "result_of" else []
        for name, values in fields.items():
            is_usual = name in words.USUAL_FIELDS
            if not self._is_odd() if is_usual else rnd.random() < words.CHANCES.get(name, _RARE):
                members.append(f'"{self._key(name)}":{self._value(name, values)}')
        if self._is_odd() and members:
            members.append(f"{rnd.choice(members).partition(':')[0]}:{self._odd_value()}")
        if self._is_odd():
            members.append(f'"zzz":{self._odd_value()}')
        if self._is_odd():
            rnd.shuffle(members)
        return Body("{", tuple(members), "}")

    def _key(self, name: str) -> str:
        """The name of a field, rarely in another case or with an escape (B1)."""
        if not self._is_odd():
            return name
        escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
        return self.rnd.choice((name.upper(), name.title(), name.replace("s", "\u017f"), f"{name} ", escaped))

    def _value(self, name: str, values: Sequence[str]) -> str:
        """One of the values of a field as JSON, with times and numbers in place of their names; rarely an odd one."""
        rnd, pace = self.rnd, self.grammar.pace
        if name == "waitSeconds" and rnd.random() < pace.polls:
            return "1"
        if self._is_odd() and name not in words.ISOLATED_FIELDS:
            return self._odd_value()
        value = rnd.choice(values)
        if value == words.LIFETIME:
            return str(next(self.lifetimes))
        if value in (words.SHORT, words.LONG):
            return str(rnd.choice(pace.short if value == words.SHORT else pace.long))
        return value.replace(words.COUNTER, str(next(self.counter)))

    def _odd_value(self) -> str:
        return self.rnd.choice(self.rnd.choice((words.TEXTS, words.NUMBERS, words.OTHERS)))
