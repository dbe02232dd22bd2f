"""Turns a tape into the recording of a session: with its identities, and by the server's clock and time zone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from statistics import median_high, median_low
from typing import Any

from codeq_contract.driver.identities import claims_in
from codeq_contract.driver.requests import TASKS
from codeq_contract.recordings.format import Call, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, parse_moment

from .callers import CallerNames, identity_of
from .tape import Tape

#: The default time zone of a server.
_DEFAULT_ZONE = "-03:00"

#: Metrics count everything since the server started, for all callers (L2). A replay of one session cannot match them.
_METRICS = "/metrics"


def session_of(tape: Tape, names: CallerNames, known: Header) -> Recording:
    """The recording of a session. `known` is its header without what the tape shows: the callers, the time zone."""
    calls = _by_name(tape.calls)
    refused = {name for name, token in names.tokens.items() if claims_in(token) is None and _refused(calls[name])}
    tokens = {name: token for name, token in names.tokens.items() if name not in refused}
    identities = {name: identity_of(token, names.kind(name), calls[name]) for name, token in tokens.items()}
    header = replace(
        known,
        epoch=known.epoch // MILLISECOND * MILLISECOND,
        yaml=known.yaml if known.yaml is not None else _zone(tape.calls),
        static=_static(tokens, identities),
        identities=identities,
        # Other clients may have called the server, so nothing here proves a loss.
        drained=False,
    )
    recording = tape.recording(header)
    return _by_the_servers_clock(replace(recording, calls=tuple(_without(refused, recording.calls))))


def _by_name(calls: Iterable[Call]) -> Mapping[str, list[Call]]:
    by_name: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_name[call.identity or ""].append(call)
    return by_name


def _refused(calls: Sequence[Call]) -> bool:
    """Whether a token was always refused, so that there is no identity behind it."""
    return all(call.status == HTTPStatus.UNAUTHORIZED for call in calls)


def _without(refused: Container[str], calls: Iterable[Call]) -> Iterator[Call]:
    """The calls without those for metrics. One with a refused token has no identity; a header has its name instead."""
    for call in calls:
        if call.path.partition("?")[0] == _METRICS:
            continue
        if call.identity is not None and call.identity in refused:
            headers = {**call.headers, "authorization": f"Bearer {call.identity}"}
            yield replace(call, identity=None, headers=headers)
        else:
            yield call


def _static(tokens: Mapping[str, str], identities: Mapping[str, Identity]) -> Mapping[str, Any] | None:
    """The static tokens of both sides (A3). None if a token is signed, or a side has more than one."""
    kinds = [identity.kind for identity in identities.values()]
    if any(claims_in(token) is not None for token in tokens.values()) or len(kinds) != len(set(kinds)):
        return None
    sides = {}
    aliases = {token: f"token-{number}" for number, token in enumerate(dict.fromkeys(tokens.values()), start=1)}
    for name, identity in identities.items():
        sides[identity.kind] = _side(aliases[tokens[name]], identity.claims)
    unused = {"token": "unused", "subject": "unused"}
    return {kind: sides.get(kind, unused) for kind in ("producer", "worker")}


def _side(token: str, claims: Mapping[str, Any]) -> Mapping[str, Any]:
    raw = {"tenantId": claims["tenantId"]} if "tenantId" in claims else {}
    return {
        "token": token,
        "subject": claims["sub"],
        "scopes": str(claims.get("scope", "")).split(),
        "eventTypes": claims.get("eventTypes", []),
        "raw": raw,
    }


def _zone(calls: Iterable[Call]) -> str | None:
    """The YAML file that sets the server's time zone. None for the default zone."""
    zone = next((text[-1:] if text.endswith("Z") else text[-6:] for _, text in _creations(calls)), _DEFAULT_ZONE)
    if zone == "Z":
        return "timezone: UTC\n"
    hours = int(zone[:3])
    return None if zone == _DEFAULT_ZONE else f"timezone: Etc/GMT{-hours:+d}\n"


def _by_the_servers_clock(recording: Recording) -> Recording:
    """The recording with its moments moved to the server's clock, by the creation times in replies."""
    creations = [(call, parse_moment(text)) for call, text in _creations(recording.calls)]
    if not creations:
        return recording
    # Medians, because a key may have found an old task (C8).
    least = median_low(made - call.answered for call, made in creations)
    most = median_high(made - call.sent for call, made in creations)
    if least <= 0 <= most:
        return recording
    skew = (least + most) // 2 // MILLISECOND * MILLISECOND
    return Recording(
        replace(recording.header, epoch=recording.header.epoch + skew),
        tuple(replace(call, sent=call.sent + skew, answered=call.answered + skew) for call in recording.calls),
        tuple(replace(callback, at=callback.at + skew) for callback in recording.callbacks),
    )


def _creations(calls: Iterable[Call]) -> Iterator[tuple[Call, str]]:
    """The accepted creates, each with the server's time of creation."""
    for call in calls:
        if call.path == TASKS and call.status == HTTPStatus.ACCEPTED:
            yield call, json.loads(call.reply)["createdAt"]
