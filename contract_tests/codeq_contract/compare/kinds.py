"""Kinds of differences: what differs where, whatever the values. Known ones are named, not hidden."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codeq_contract.clauses import route_of
from codeq_contract.replay.comparison import Difference

_INDEX = re.compile(r"\[\d+\]")
_CHARACTER = re.compile(r", character \d+")
_LABELS = re.compile(r"\{.*")
#: What differs from request to request inside an error text.
_VARIABLE = re.compile(r"\{id [^}]*\}|\d+")

_CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class Kind:
    """Where two servers differ: the route of the request or `callback`, and the places with the statuses or errors."""

    route: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.route}: {', '.join(self.places)}"


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """A documented difference of the fake from a real server: which statuses they answer to such a request."""

    clause: str
    routes: tuple[str, ...]
    """The ends of routes: `/heartbeat`."""
    caller: str
    """The end of a caller's name: `of another tenant`."""
    statuses: tuple[str, str]

    def explains(self, kind: Kind, caller: str) -> bool:
        """Whether a difference of this kind, shown by a request of this caller, is this one, with these statuses."""
        one, other = self.statuses
        is_such_a_request = kind.route.endswith(self.routes) and caller.endswith(self.caller)
        return is_such_a_request and not {f"status {one} and {other}", f"status {other} and {one}"}.isdisjoint(
            kind.places
        )


_KNOWN = (KnownDifference("H2 and D2", ("/heartbeat", "/abandon"), "worker without subject", ("200", "403")),)
_PAGE = "docs/reference/differences.md"


def known_as(kind: Kind, caller: str) -> str:
    """Where a kind of difference that a request of this caller shows is documented. Empty if it is not."""
    return next((f"{known.clause} in {_PAGE}" for known in _KNOWN if known.explains(kind, caller)), "")


def kind_of_reply(method: str, path: str, differences: Sequence[Difference]) -> Kind:
    """The kind of the differences of one reply."""
    return Kind(route_of(method, path) or f"{method} another path", _places(differences))


def kind_of_callbacks(differences: Sequence[Difference]) -> Kind:
    """The kind of the differences of callbacks."""
    return Kind(_CALLBACK, _places(differences))


def _places(differences: Sequence[Difference]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_place, differences)))


def _place(difference: Difference) -> str:
    """The place of a difference, with the values where these tell kinds apart: statuses and errors."""
    place = _LABELS.sub("", _CHARACTER.sub("", _INDEX.sub("[]", difference.path)))
    if place == "status" or place.endswith(".error"):
        values = f"{difference.theirs} and {difference.ours}"
        return f"{place} {values if place == 'status' else _VARIABLE.sub('#', values)}"
    return place
