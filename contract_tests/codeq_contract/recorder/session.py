"""A recorded session as a whole: who its callers were, and what the server's clock and zone show."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from http import HTTPStatus
from statistics import median_high, median_low
from typing import TYPE_CHECKING, Any

from codeq_contract.driver.hooks import SECRET_SETTING, SIGNATURE
from codeq_contract.recorder.token_claims import claims_in, identity_of
from codeq_contract.recordings.format import Call, Callback, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, parse_moment
from codeq_contract.suite.caller import TASKS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from codeq_contract.recorder.caller_names import Names
    from codeq_contract.recorder.tape import Tape

#: A server whose time zone nobody set answers in this one (section 4).
_USUAL_ZONE = "-03:00"

#: What it shows adds up whatever the server did since it started, for anybody: no session has what it takes to see the
#: same in a replay (L2).
_COUNTED_FOR_ALL = "/metrics"


@dataclass(frozen=True, slots=True)
class About:
    """What whoever records a session knows of the server: its name for it, the store, the settings."""

    name: str
    profile: str
    settings: Mapping[str, str]
    yaml: str | None = None


def session_of(tape: Tape, names: Names, about: About, *, epoch: int) -> Recording:
    """The recording of a session that began at `epoch` (nanoseconds since 1970)."""
    calls = _by_name(tape.calls)
    refused = {name for name, token in names.tokens.items() if claims_in(token) is None and _refused(calls[name])}
    known = {name: token for name, token in names.tokens.items() if name not in refused}
    identities = {name: identity_of(token, names.kind(name), calls[name]) for name, token in known.items()}
    header = Header(
        name=about.name,
        profile=about.profile,
        epoch=epoch // MILLISECOND * MILLISECOND,
        settings=about.settings,
        yaml=about.yaml if about.yaml is not None else _zone(tape.calls),
        static=_static(known, identities),
        identities=identities,
        # Others may have called the server as well, so that nothing shows by what did not happen.
        drained=False,
    )
    told = tape.recording(header)
    callbacks = told.callbacks
    if SECRET_SETTING not in about.settings:
        callbacks = tuple(_unsigned(callback) for callback in callbacks)
    return _by_the_servers_clock(replace(told, calls=tuple(_without(refused, told.calls)), callbacks=callbacks))


def _by_name(calls: Iterable[Call]) -> Mapping[str, list[Call]]:
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        found[call.identity or ""].append(call)
    return found


def _refused(calls: Sequence[Call]) -> bool:
    """Whether a token that says nothing itself was no good: there is nobody behind it."""
    return all(call.status == HTTPStatus.UNAUTHORIZED for call in calls)


def _without(refused: Container[str], calls: Iterable[Call]) -> Iterator[Call]:
    for call in calls:
        if call.path.partition("?")[0] == _COUNTED_FOR_ALL:
            continue
        if call.identity is not None and call.identity in refused:
            headers = {**call.headers, "authorization": f"Bearer {call.identity}"}
            yield replace(call, identity=None, headers=headers)
        else:
            yield call


def _static(tokens: Mapping[str, str], identities: Mapping[str, Identity]) -> Mapping[str, Any] | None:
    """A3: both sides' configuration, if there was one token for each that says nothing itself."""
    kinds = [identity.kind for identity in identities.values()]
    if any(claims_in(token) is not None for token in tokens.values()) or len(kinds) != len(set(kinds)):
        return None
    sides = {}
    shown = {token: f"token-{number}" for number, token in enumerate(dict.fromkeys(tokens.values()), start=1)}
    for name, identity in identities.items():
        sides[identity.kind] = _side(shown[tokens[name]], identity.claims)
    nobody = {"token": "of-nobody", "subject": "nobody"}
    return {kind: sides.get(kind, nobody) for kind in ("producer", "worker")}


def _side(token: str, claims: Mapping[str, Any]) -> Mapping[str, Any]:
    raw = {"tenantId": claims["tenantId"]} if "tenantId" in claims else {}
    return {
        "token": token,
        "subject": claims["sub"],
        "scopes": str(claims.get("scope", "")).split(),
        "eventTypes": claims.get("eventTypes", []),
        "raw": raw,
    }


def _unsigned(callback: Callback) -> Callback:
    """Without the secret nobody can tell whether a signature is right."""
    return replace(callback, headers={name: text for name, text in callback.headers.items() if name not in SIGNATURE})


# What the server's clock shows.


def _zone(calls: Iterable[Call]) -> str | None:
    """The YAML file that sets the zone in which the server answers, unless it is the usual one."""
    zone = next((text[-1:] if text.endswith("Z") else text[-6:] for _, text in _creations(calls)), _USUAL_ZONE)
    if zone == "Z":
        return "timezone: UTC\n"
    hours = int(zone[:3])
    return None if zone == _USUAL_ZONE else f"timezone: Etc/GMT{-hours:+d}\n"


def _by_the_servers_clock(recording: Recording) -> Recording:
    """With our moments moved to the server's clock, as far as its stamps say how these differ."""
    creations = [(call, parse_moment(text)) for call, text in _creations(recording.calls)]
    if not creations:
        return recording
    # Medians, since a key may have found a task of long ago (C8).
    least = median_low(made - call.answered for call, made in creations)
    most = median_high(made - call.sent for call, made in creations)
    if least <= 0 <= most:
        return recording
    skew = min(least, most, key=abs) // MILLISECOND * MILLISECOND
    return Recording(
        replace(recording.header, epoch=recording.header.epoch + skew),
        tuple(replace(call, sent=call.sent + skew, answered=call.answered + skew) for call in recording.calls),
        tuple(replace(callback, at=callback.at + skew) for callback in recording.callbacks),
    )


def _creations(calls: Iterable[Call]) -> Iterator[tuple[Call, str]]:
    """The creates that were accepted, and when the server says that the task was made."""
    for call in calls:
        if call.path == TASKS and call.status == HTTPStatus.ACCEPTED:
            yield call, json.loads(call.reply)["createdAt"]
