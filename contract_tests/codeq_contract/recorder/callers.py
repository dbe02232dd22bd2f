"""Callers: a name in place of each bearer token, and the claims that the token or the server's replies show."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codeq_contract.driver.identities import WORKER_SCOPES, claims_in
from codeq_contract.driver.requests import ADMIN, SUBSCRIPTIONS, TASKS, tasks_in
from codeq_contract.recordings.format import REQUEST_HEADERS, Call, Identity
from codeq_contract.recordings.times import SECOND

_BEARER = re.compile(r"(?P<scheme>[Bb][Ee][Aa][Rr][Ee][Rr] +)(?P<token>\S+)(?P<rest>\s*)")

_USUAL_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class CallerNames:
    """Gives each token a name, or two if it is used both as a producer's and as a worker's: `tokens` by name."""

    tokens: dict[str, str] = field(default_factory=dict)

    def of(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[str | None, Mapping[str, str]]:
        """The caller of a request, and the headers that a recording keeps. Neither contains a token.

        Gives a new token its name. Header names are in lower case. A token in an unusual header becomes `{token:NAME}`.
        """
        kept = {name: headers[name] for name in REQUEST_HEADERS if name in headers}
        if headers.get("content-type", _USUAL_TYPE) != _USUAL_TYPE:
            kept["content-type"] = headers["content-type"]
        authorization = headers.get("authorization")
        if authorization is None:
            return None, kept
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            return None, {**kept, "authorization": f"{authorization.partition(' ')[0]} redacted".strip()}
        name = self._name(bearer["token"], side_of(method, path))
        if authorization == f"Bearer {bearer['token']}":
            return name, kept
        return None, {**kept, "authorization": f"{bearer['scheme']}{{token:{name}}}{bearer['rest']}"}

    def kind(self, name: str) -> str:
        """The kind in a name: `producer` or `worker`."""
        return name.partition("-")[0]

    def _name(self, token: str, side: str) -> str:
        """The name of the caller with a token; a token that is used on both sides of the API has a name on each."""
        mine = [name for name, known in self.tokens.items() if known == token]
        kind = _kind_in_claims(token) or side or (self.kind(mine[0]) if mine else "producer")
        for name in mine:
            if self.kind(name) == kind:
                return name
        name = f"{kind}-{1 + sum(self.kind(known) == kind for known in self.tokens)}"
        self.tokens[name] = token
        return name


def _kind_in_claims(token: str) -> str:
    """The kind that a signed token is made for, however it is used (A4, A5)."""
    claims = claims_in(token)
    if claims is None:
        return ""
    return "worker" if "eventTypes" in claims or "worker" in str(claims.get("aud")) else "producer"


#: A replay signs its own tokens, so these claims do not belong to the identity.
_CLAIMS_OF_ONE_TOKEN = frozenset({"iss", "aud", "iat", "nbf", "jti"})

_SUCCESS = range(200, 300)


def side_of(method: str, path: str) -> str:
    """The kind of token that a route takes: `producer`, `worker`, or empty if both may read."""
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
    # A4: without `exp` a token never expires. One that was valid to the end of the session may have had none.
    if signed.get("exp", 0) * SECOND > max((call.answered for call in calls), default=0):
        left_out.add("exp")
    return Identity(kind, {name: value for name, value in signed.items() if name not in left_out})


def _guessed_claims(kind: str, calls: Iterable[Call]) -> Mapping[str, Any]:
    """The claims that calls show: the tenant and the worker in the tasks of their replies (A9, K5), and an admin."""
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
