"""The claims of bearer tokens: those in a signed token, or else those that the server's replies show."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codeq_contract.driver.identities import WORKER_SCOPES
from codeq_contract.driver.requests import ADMIN, SUBSCRIPTIONS, TASKS, tasks_in
from codeq_contract.recordings.format import Call, Identity
from codeq_contract.recordings.times import SECOND

#: A replay signs its own tokens, so these claims do not belong to the identity.
_CLAIMS_OF_ONE_TOKEN = frozenset({"iss", "aud", "iat", "nbf", "jti"})

_PARTS_OF_A_SIGNED_TOKEN = 3
_SUCCESS = range(200, 300)


def side_of(method: str, path: str) -> str:
    """The kind of token that a route takes (section 1): `producer`, `worker`, or empty if both may read."""
    bare = path.partition("?")[0]
    if (method == "POST" and bare in (TASKS, f"{TASKS}/batch")) or bare.startswith(ADMIN):
        return "producer"
    is_work = method == "POST" and bare.startswith((f"{TASKS}/", SUBSCRIPTIONS))
    return "worker" if is_work else ""


def identity_of(token: str, kind: str, calls: Sequence[Call]) -> Identity:
    """The identity behind `token`, which was used for `calls`."""
    signed = claims_in(token)
    if signed is None:
        return Identity(kind, _guessed_claims(kind, calls))
    left_out = set(_CLAIMS_OF_ONE_TOKEN)
    # A4: without `exp` a token never expires. A token that was valid to the end of the session may be such a one.
    if signed.get("exp", 0) * SECOND > max((call.answered for call in calls), default=0):
        left_out.add("exp")
    return Identity(kind, {name: value for name, value in signed.items() if name not in left_out})


def claims_in(token: str) -> Mapping[str, Any] | None:
    """The unverified claims of a signed token. None for any other text."""
    parts = token.split(".")
    if len(parts) != _PARTS_OF_A_SIGNED_TOKEN:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _guessed_claims(kind: str, calls: Iterable[Call]) -> Mapping[str, Any]:
    """A9, K5: the tasks that a caller created or claimed show its tenant, and the name of the worker."""
    claims: dict[str, Any] = {"sub": kind}
    if kind == "worker":
        claims |= {"scope": WORKER_SCOPES, "eventTypes": ["*"]}
    # C8: a key may find a task of another tenant, so the most frequent tenant counts.
    tenants: Counter[str] = Counter()
    for call in calls:
        if call.status not in _SUCCESS:
            continue
        if call.path.startswith(ADMIN):
            claims["scope"] = "codeq:admin"
        if side_of(call.method, call.path) != kind or not call.reply.startswith("{"):
            continue
        for task in tasks_in(json.loads(call.reply)):
            tenants[task.get("tenantId", "")] += 1
            if task.get("workerId") and kind == "worker":
                claims["sub"] = task["workerId"]
    return {**claims, "tenantId": tenants.most_common(1)[0][0]} if tenants else claims
