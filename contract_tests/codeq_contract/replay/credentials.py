"""The tokens of a recording's identities, and the settings with which a fake accepts them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codeq_contract.driver.identities import Signer
from codeq_contract.recordings.format import Header
from codeq_contract.recordings.times import SECOND


@dataclass(frozen=True, slots=True)
class Credentials:
    """The environment variables and identities for the fake, and the bearer token of each identity."""

    settings: Mapping[str, str]
    identities: Mapping[str, Mapping[str, Any]]
    tokens: Mapping[str, str]


def credentials(header: Header, signer: Signer | None) -> Credentials:
    """The credentials of the identities of a session.

    A session with static tokens uses those. Otherwise each identity gets a signed token. Without a `signer` its token
    is its name, and the fake is told its claims.
    """
    if header.static is not None:
        return _static(header, header.static)
    if signer is None:
        return _named(header)
    issued = header.epoch // SECOND
    tokens = {name: signer.token(identity, issued=issued) for name, identity in header.identities.items()}
    return Credentials(signer.settings(), {}, tokens)


def _static(header: Header, static: Mapping[str, Any]) -> Credentials:
    settings = {}
    for kind in ("producer", "worker"):
        settings[f"{kind.upper()}_AUTH_PROVIDER"] = "static"
        settings[f"{kind.upper()}_AUTH_CONFIG"] = json.dumps(static[kind])
    tokens = {name: static[identity.kind]["token"] for name, identity in header.identities.items()}
    return Credentials(settings, {}, tokens)


def _named(header: Header) -> Credentials:
    identities = {}
    for name, identity in header.identities.items():
        optional = {"alg": identity.alg, "kid": identity.kid}
        given = {key: value for key, value in optional.items() if value is not None}
        identities[name] = {"kind": identity.kind, "token": name, "claims": identity.claims, **given}
    return Credentials({}, identities, {name: name for name in identities})
