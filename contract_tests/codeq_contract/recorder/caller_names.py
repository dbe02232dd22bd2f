"""Names of callers. A recording has them in place of bearer tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .token_claims import claims_in, side_of

_BEARER = re.compile(r"(?P<scheme>[Bb][Ee][Aa][Rr][Ee][Rr] +)(?P<token>\S+)(?P<rest>\s*)")

#: The headers that the contract mentions. A recording keeps no others.
_KEPT = ("x-role", "x-request-id", "traceparent", "tracestate")
_USUAL_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class CallerNames:
    """Gives each token a name, or two if it is used both as a producer's and as a worker's: `tokens` by name."""

    tokens: dict[str, str] = field(default_factory=dict)

    def of(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[str | None, Mapping[str, str]]:
        """The caller of a request, and the headers that a recording keeps. Neither contains a token.

        Header names are in lower case. A token in an unusual header becomes `{token:NAME}`.
        """
        kept = {name: headers[name] for name in _KEPT if name in headers}
        if headers.get("content-type", _USUAL_TYPE) != _USUAL_TYPE:
            kept["content-type"] = headers["content-type"]
        authorization = headers.get("authorization")
        if authorization is None:
            return None, kept
        found = _BEARER.fullmatch(authorization)
        if found is None:
            return None, {**kept, "authorization": f"{authorization.partition(' ')[0]} redacted".strip()}
        name = self._name(found["token"], side_of(method, path))
        if authorization == f"Bearer {found['token']}":
            return name, kept
        return None, {**kept, "authorization": f"{found['scheme']}{{token:{name}}}{found['rest']}"}

    def kind(self, name: str) -> str:
        """The kind in a name: `producer` or `worker`."""
        return name.partition("-")[0]

    def _name(self, token: str, side: str) -> str:
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
