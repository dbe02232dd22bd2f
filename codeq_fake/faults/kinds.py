"""The kinds of faults: one function for each, which makes a rule.

All functions take the conditions of a rule: `on`, `worker`, `command`, `task`, `nth`, `times`, `probability`, `seed`.
`seconds` may also be a text such as `1m 30s`, or a timedelta.
See `codeq_fake.faults.Rule`, which also raises the BadFaultErrors.

What a kind does stands in `http.faults` for requests, and in `runtime.webhook_deliveries` for callbacks.
`payloads.FaultKind` names it, and `page.fault_forms` offers it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypedDict, Unpack

from codeq_fake.core.durations import Duration, duration
from codeq_fake.core.times import SECOND

from .rule import CALLBACK, COMPLETE, FAIL, NOTICE, REQUEST, BadFaultError, Rule, kind

_CLAIMS = frozenset({"claim", "claim_batch"})
_SINGLE_ENDS = frozenset({"submit", COMPLETE, FAIL})
_ENDS = _SINGLE_ENDS | {"submit_batch"}
_CREATES = frozenset({"create"})
_HEARTBEATS = frozenset({"heartbeat"})
_ON_A_TASK = _CLAIMS | _ENDS | {"heartbeat", "abandon", "nack"}
_CALLBACK, _SENT = frozenset({CALLBACK}), frozenset({CALLBACK, NOTICE})


class Where(TypedDict, total=False):
    """The conditions of a rule, and how often it fires."""

    on: str
    worker: str
    command: str
    task: str
    nth: int
    times: int
    probability: float
    seed: int


@kind()
def drop_reply(**where: Unpack[Where]) -> Rule:
    """The request is carried out, and the connection dies before the reply."""
    return Rule("drop_reply", **where)


@kind(is_final=True)
def refuse(
    status: int = 503,
    *,
    body: Any = None,  # noqa: ANN401 - any JSON value
    headers: Mapping[str, str] | None = None,
    retry_after: int | None = None,
    **where: Unpack[Where],
) -> Rule:
    """The request is refused with `status` and not carried out.

    A `body` that is a str is sent unchanged, any other as JSON; the default is an error object as the server sends it.
    `retry_after` is in seconds.
    """
    return Rule(
        "refuse",
        status=status,
        body=text_of(body),
        headers=tuple((headers or {}).items()),
        retry_after=retry_after,
        **where,
    )


@kind(is_final=True)
def reset(**where: Unpack[Where]) -> Rule:
    """The request is not carried out, and the connection is reset."""
    return Rule("reset", **where)


@kind()
def delay(seconds: Duration, **where: Unpack[Where]) -> Rule:
    """The request waits for `seconds` of the fake's clock before it is carried out."""
    return Rule("delay", seconds=_seconds(seconds), **where)


@kind()
def hang(**where: Unpack[Where]) -> Rule:
    """The request waits until its rule is removed. It is not carried out if its client hangs up before."""
    return Rule("hang", **where)


@kind()
def garble(how: Literal["cut", "malformed"] = "cut", **where: Unpack[Where]) -> Rule:
    """The request is carried out, and only half of the reply arrives.

    `cut`: the connection dies in the middle of the body. `malformed`: the body is complete HTTP, but invalid JSON.
    """
    return Rule("garble", how=how, **where)


@kind(on=_CLAIMS, only=_ON_A_TASK)
def expire_lease(**where: Unpack[Where]) -> Rule:
    """The lease ends: directly after a claim, or before the holder's request is carried out."""
    return Rule("expire_lease", **where)


@kind(on=_SENT | {REQUEST})
def clock_skew(seconds: Duration, **where: Unpack[Where]) -> Rule:
    """The server computes with a clock that is `seconds` ahead of the client's, or behind if negative."""
    return Rule("clock_skew", seconds=_seconds(seconds), **where)


@kind(on=_CALLBACK, only=_SENT)
def callback_lost(**where: Unpack[Where]) -> Rule:
    """An attempt of a callback does not arrive; the next attempt follows as usual (W3)."""
    return Rule("callback_lost", **where)


@kind(on=_CALLBACK, only=_SENT)
def callback_twice(**where: Unpack[Where]) -> Rule:
    """An attempt of a callback arrives twice."""
    return Rule("callback_twice", **where)


@kind(on=_CALLBACK, only=_SENT)
def callback_late(seconds: Duration, **where: Unpack[Where]) -> Rule:
    """An attempt of a callback is sent `seconds` later, by the fake's clock."""
    return Rule("callback_late", seconds=_seconds(seconds), **where)


@kind(on=_ENDS, only=_ENDS)
def redeliver_finished(**where: Unpack[Where]) -> Rule:
    """A finished task is delivered again (Z1)."""
    return Rule("redeliver_finished", **where)


@kind(on=_CLAIMS, only=_ON_A_TASK)
def lose_task(**where: Unpack[Where]) -> Rule:
    """A task in progress is lost: no claim ever requeues it (Z2)."""
    return Rule("lose_task", **where)


@kind(on=_CLAIMS, only=_ON_A_TASK)
def revoke_lease(**where: Unpack[Where]) -> Rule:
    """A lease is revoked without its worker's knowledge (Z3)."""
    return Rule("revoke_lease", **where)


@kind(on=_CLAIMS, only=_CLAIMS)
def false_empty(**where: Unpack[Where]) -> Rule:
    """A claim finds nothing although a task is ready (Z4)."""
    return Rule("false_empty", **where)


@kind(on=_SINGLE_ENDS, only=_SINGLE_ENDS)
def accept_result_twice(**where: Unpack[Where]) -> Rule:
    """A result is accepted although another has ended the task at the same moment (Z5)."""
    return Rule("accept_result_twice", **where)


@kind(on=_CREATES, only=_CREATES)
def double_create(**where: Unpack[Where]) -> Rule:
    """A create makes a task although another with the same key has made one at the same moment (Z6)."""
    return Rule("double_create", **where)


@kind(on=_HEARTBEATS, only=_HEARTBEATS)
def undo_end(**where: Unpack[Where]) -> Rule:
    """A heartbeat at the same moment as its worker's result undoes the end: the task is IN_PROGRESS for ever."""
    return Rule("undo_end", **where)


def _seconds(length: Duration) -> float:
    """A length of time in seconds. Raises BadFaultError."""
    if not isinstance(length, (str, timedelta)):
        return length  # the rule checks it
    try:
        return duration(length) / SECOND
    except ValueError as error:
        raise BadFaultError(f"seconds: {error}") from None


def text_of(body: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """The body of a refusal as text, or None."""
    return body if body is None or isinstance(body, str) else json.dumps(body)
