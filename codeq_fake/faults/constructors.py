"""Rules by name: a function for each kind of fault.

All take what a rule can meet: ``on``, ``worker``, ``command``, ``task``, ``nth``, ``times``, ``probability``, ``seed``;
see :class:`~codeq_fake.faults.Rule`, which also says what is refused with BadFaultError.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from .rule import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack


class Where(TypedDict, total=False):
    """What a rule meets, and how often it fires."""

    on: str
    worker: str
    command: str
    task: str
    nth: int
    times: int
    probability: float
    seed: int


def drop_reply(**where: Unpack[Where]) -> Rule:
    """The request is carried out, and the connection dies before the reply."""
    return Rule("drop_reply", **where)


def refuse(
    status: int = 503,
    *,
    body: Any = None,  # noqa: ANN401 - any JSON value
    headers: Mapping[str, str] | None = None,
    retry_after: int | None = None,
    **where: Unpack[Where],
) -> Rule:
    """The request is refused with ``status`` and nothing is done.

    ``body`` is sent as it is when it is a text, else as JSON; without one it is an error as the server words them.
    ``retry_after`` is in seconds.
    """
    return Rule(
        "refuse",
        status=status,
        body=text_of(body),
        headers=tuple((headers or {}).items()),
        retry_after=retry_after,
        **where,
    )


def reset(**where: Unpack[Where]) -> Rule:
    """Nothing is done, and the connection is reset."""
    return Rule("reset", **where)


def delay(seconds: float, **where: Unpack[Where]) -> Rule:
    """The request waits so long, by the fake's clock, before anything is done."""
    return Rule("delay", seconds=seconds, **where)


def hang(**where: Unpack[Where]) -> Rule:
    """The request waits until its rule is removed; when its client hangs up before, nothing is done."""
    return Rule("hang", **where)


def garble(how: Literal["cut", "malformed"] = "cut", **where: Unpack[Where]) -> Rule:
    """The request is carried out; of the reply only half arrives.

    ``cut``: the connection dies in the middle. ``malformed``: the half looks whole, but is no JSON.
    """
    return Rule("garble", how=how, **where)


def expire_lease(**where: Unpack[Where]) -> Rule:
    """The lease ends: at once after a claim, or before whatever the holder asks for."""
    return Rule("expire_lease", **where)


def clock_skew(seconds: float, **where: Unpack[Where]) -> Rule:
    """The server's clock is ahead of the client's by so much, or behind if negative, in all that it computes."""
    return Rule("clock_skew", seconds=seconds, **where)


def callback_lost(**where: Unpack[Where]) -> Rule:
    """A try of a callback does not arrive; the next follows as W3 says."""
    return Rule("callback_lost", **where)


def callback_twice(**where: Unpack[Where]) -> Rule:
    """A try of a callback arrives twice."""
    return Rule("callback_twice", **where)


def callback_late(seconds: float, **where: Unpack[Where]) -> Rule:
    """A try of a callback is sent so much later, by the fake's clock."""
    return Rule("callback_late", seconds=seconds, **where)


def redeliver_finished(**where: Unpack[Where]) -> Rule:
    """A task comes back after its end (Z1)."""
    return Rule("redeliver_finished", **where)


def lose_task(**where: Unpack[Where]) -> Rule:
    """A task that is in progress is lost: no claim ever repairs it (Z2)."""
    return Rule("lose_task", **where)


def revoke_lease(**where: Unpack[Where]) -> Rule:
    """A lease is revoked while its worker believes that it holds it (Z3)."""
    return Rule("revoke_lease", **where)


def false_empty(**where: Unpack[Where]) -> Rule:
    """A claim finds nothing though there is a task (Z4)."""
    return Rule("false_empty", **where)


def observed_races(seed: int = 0) -> tuple[Rule, ...]:
    """Z1 to Z4 as often as they were seen on the real server (section 18), by chances that ``seed`` makes repeatable.

    Z1: 5 of some 7,200 tasks in eight runs; Z2: once in them; Z3: once in about 1,000 claims. Z4 was only read in the
    source: it takes a copy as Z1 does, so it is as likely here.
    """
    return (
        redeliver_finished(probability=0.0007, seed=seed),
        lose_task(probability=0.00014, seed=seed + 1),
        revoke_lease(probability=0.001, seed=seed + 2),
        false_empty(probability=0.0007, seed=seed + 3),
    )


def text_of(body: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """A refusal's body as text; None when there is none."""
    return body if body is None or isinstance(body, str) else json.dumps(body)
