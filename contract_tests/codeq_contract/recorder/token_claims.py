"""Who a bearer token stands for: what it says itself, or else what the server's answers give away."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from codeq_contract.driver.identities import WORKER_SCOPES
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.caller import ADMIN, SUBSCRIPTIONS, TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from codeq_contract.recordings.format import Call

#: Whoever plays a session again signs tokens of his own.
_OF_THE_TOKEN_ALONE = frozenset({"iss", "aud", "iat", "nbf", "jti"})

_PARTS_OF_A_SIGNED_TOKEN = 3
_SUCCESS = range(200, 300)


def side_of(method: str, path: str) -> str:
    """Which kind of token a route takes (section 1): `producer`, `worker`, or empty where either may read."""
    bare = path.partition("?")[0]
    if method == "POST" and bare in (TASKS, f"{TASKS}/batch"):
        return "producer"
    if bare.startswith(ADMIN):
        return "producer"
    is_work = method == "POST" and bare.startswith((f"{TASKS}/", SUBSCRIPTIONS))
    return "worker" if is_work else ""


def identity_of(token: str, kind: str, calls: Sequence[Call]) -> Identity:
    """The identity behind `token`, of which `calls` are what it was used for."""
    said = claims_in(token)
    if said is None:
        return Identity(kind, _guessed(kind, calls))
    left_out = set(_OF_THE_TOKEN_ALONE)
    # A4: a token that was good to the end may be good for ever.
    if said.get("exp", 0) * SECOND > max((call.answered for call in calls), default=0):
        left_out.add("exp")
    return Identity(kind, {name: value for name, value in said.items() if name not in left_out})


def claims_in(token: str) -> Mapping[str, Any] | None:
    """What a signed token says, unverified; None if it is another kind of text."""
    parts = token.split(".")
    if len(parts) != _PARTS_OF_A_SIGNED_TOKEN:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _guessed(kind: str, calls: Iterable[Call]) -> Mapping[str, Any]:
    """A9, K5: the tasks that a caller made or was given are of its tenant, and name the worker."""
    claims: dict[str, Any] = {"sub": kind}
    if kind == "worker":
        claims |= {"scope": WORKER_SCOPES, "eventTypes": ["*"]}
    # C8: a key may find another tenant's task.
    tenants: Counter[str] = Counter()
    for call in calls:
        if call.status not in _SUCCESS:
            continue
        if call.path.startswith(ADMIN):
            claims["scope"] = "codeq:admin"
        for task in _tasks_of(call) if side_of(call.method, call.path) == kind else ():
            tenants[task.get("tenantId", "")] += 1
            if task.get("workerId") and kind == "worker":
                claims["sub"] = task["workerId"]
    return {**claims, "tenantId": tenants.most_common(1)[0][0]} if tenants else claims


def _tasks_of(call: Call) -> Iterable[Mapping[str, Any]]:
    """The tasks in a reply of R1 to R4."""
    reply = json.loads(call.reply) if call.reply.startswith("{") else {}
    if "command" in reply and "id" in reply:
        yield reply
    yield from (task for task in reply.get("tasks") or () if isinstance(task, dict))
    yield from (item["task"] for item in reply.get("results") or () if "task" in item)
