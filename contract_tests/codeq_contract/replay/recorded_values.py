"""What a fake must know about a recorded session: its callers' tokens, and the server's ids and random delays."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from codeq_contract.driver.identities import Signer, static_settings
from codeq_contract.driver.requests import SUBSCRIPTIONS, TASKS
from codeq_contract.recordings.format import Call, Header
from codeq_contract.recordings.times import SECOND

_NEW_ID = re.compile(r'"(?:id|subscriptionId)":"([^"]+)"')
#: A delay in the request, so that the server made none (N3).
_DELAY = re.compile(r'"delaySeconds"\s*:\s*[1-9]', re.IGNORECASE)
_CREATING_PATHS = frozenset({TASKS, f"{TASKS}/batch", SUBSCRIPTIONS})
_PREDICTABLE_POLICIES = frozenset({"fixed", "linear", "exponential"})


@dataclass(slots=True)
class RecordedValues:
    """Finds, call by call, the values that a fake needs to answer as the recorded server did."""

    header: Header
    _known_ids: set[str] = field(default_factory=set)

    def take_new_ids(self, call: Call) -> list[str]:
        """The ids that are new in the reply to `call`, in their order. Use it once for each call, in their order."""
        if call.method != "POST" or call.path not in _CREATING_PATHS:
            return []
        ids = [new for new in ids_in(call.reply) if new not in self._known_ids]
        self._known_ids.update(ids)
        return ids

    def delays(self, call: Call) -> list[int]:
        """The jittered backoff delay in seconds in the reply to `call`."""
        if self.header.settings.get("BACKOFF_POLICY") in _PREDICTABLE_POLICIES:
            return []
        if not call.path.endswith("/nack") or call.status != HTTPStatus.OK or _DELAY.search(call.body or ""):
            return []
        reply = json.loads(call.reply)
        return [reply["delaySeconds"]] if reply["status"] == "requeued" else []


def ids_in(reply: str) -> list[str]:
    """The ids of tasks and subscriptions in a reply, each once, in their order."""
    return [*dict.fromkeys(_NEW_ID.findall(reply))]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The environment variables and identities for the fake, and the bearer token of each identity."""

    settings: Mapping[str, str]
    identities: Mapping[str, Mapping[str, Any]]
    tokens: Mapping[str, str]


def credentials(header: Header, signer: Signer | None) -> Credentials:
    """The credentials of the identities of a session.

    A session with static tokens uses those, and one whose settings name the callers has no others. Otherwise each
    identity gets a signed token. Without a `signer` its token is its name, and the fake is told its claims.
    """
    if header.static is not None:
        return _static(header, header.static)
    if "PRODUCER_AUTH_CONFIG" in header.settings:
        return Credentials({}, {}, {})
    if signer is None:
        return _named(header)
    issued = header.epoch // SECOND
    tokens = {name: signer.token(identity, issued=issued) for name, identity in header.identities.items()}
    return Credentials(signer.settings(), {}, tokens)


def _static(header: Header, static: Mapping[str, Any]) -> Credentials:
    settings = static_settings({kind: static[kind] for kind in ("producer", "worker")})
    tokens = {name: static[identity.kind]["token"] for name, identity in header.identities.items()}
    return Credentials(settings, {}, tokens)


def _named(header: Header) -> Credentials:
    identities = {}
    for name, identity in header.identities.items():
        optional = {"alg": identity.alg, "kid": identity.kid}
        signing = {key: value for key, value in optional.items() if value is not None}
        identities[name] = {"kind": identity.kind, "token": name, "claims": identity.claims, **signing}
    return Credentials({}, identities, {name: name for name in identities})
