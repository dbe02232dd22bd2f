"""The differences that a replay may show: timestamps by a little, ids of traces and spans, some headers of callbacks.

`metrics` decides about the buckets of histograms, by the same lateness.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from codeq_contract.recordings.times import MILLISECOND, SECOND, parse_moment

from .mismatches import ABSENT

LATENCY = 60 * MILLISECOND

#: By how much a callback may be late without a lateness of ours: a server on a busy machine sends each of several tries
#: late, and the next one that much later (ns). The cases of W3 check the pause before each try.
CALLBACKS_LATE = 15 * SECOND

#: Headers that depend on the order of keys and on the second of sending. `callbacks` verifies them instead.
_VERIFIED_HEADERS = frozenset({"x-codeq-signature", "x-codeq-timestamp"})

FRACTIONAL_KEYS = frozenset({"createdAt", "updatedAt", "completedAt", "expiresAt"})
WHOLE_SECOND_KEYS = frozenset({"leaseUntil", "sentAt", "before"})
TRACE_KEY = "traceParent"

_MASKED = re.compile(rf'"({"|".join(sorted(FRACTIONAL_KEYS | WHOLE_SECOND_KEYS | {TRACE_KEY}))})":"[^"]*"')

_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_PADDED_FRACTION = re.compile(r"\.\d*0(?!\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """The interval of a recorded event, in nanoseconds since 1970."""

    start: int
    end: int

    @property
    def leeway(self) -> int:
        """By how many nanoseconds a timestamp from this window may differ."""
        return max(LATENCY, self.end - self.start)

    def second_edges(self, lateness: int) -> int:
        """How many seconds begin within the window, or so long after it."""
        return (self.end + lateness) // SECOND - self.start // SECOND


@dataclass(slots=True)
class AllowedDifferences:
    """Decides which values of one session may differ, consistently for the whole session.

    A pair of timestamps is compared by the window of the event that first has it, and allowed in all later ones. Ids
    of traces and spans may differ, but each recorded id needs the same replayed id throughout.

    `lateness` is by how many nanoseconds the replay has been late so far, and `callbacks_late` by how many more a
    server may send a callback late. `callbacks_early` is by how many it may send one early, since the recorded server
    was slow.
    """

    lateness: int = 0
    callbacks_late: int = 0
    callbacks_early: int = 0
    _accepted: set[tuple[str, str]] = field(default_factory=set)
    _ours_of: dict[str, str] = field(default_factory=dict)
    _theirs_of: dict[str, str] = field(default_factory=dict)

    def allows(self, key: str, theirs: str, ours: str, window: Window) -> bool:
        """Whether `ours` is allowed for the recorded value `theirs` of `key`. If so, it is from now on."""
        if key == TRACE_KEY:
            return self.allows_trace(theirs, ours)
        if theirs == ours or (theirs, ours) in self._accepted:
            return True
        if key in FRACTIONAL_KEYS:
            close = _distance(theirs, ours) <= window.leeway + self.lateness
        else:
            # Whole seconds differ by one for each second that begins within the window.
            edges = range(SECOND, (window.second_edges(self.lateness) + 1) * SECOND, SECOND)
            close = key in WHOLE_SECOND_KEYS and _distance(theirs, ours) in edges
        if close:
            self._accepted.add((theirs, ours))
        return close

    def allows_header(self, name: str, theirs: str, ours: str, *, is_redirected: bool = False) -> bool:
        """Whether `ours` is allowed for a recorded header. Either may be ABSENT.

        A server that was built with a newer Go leaves the type out of a redirect that it follows as a GET.
        """
        if name in _VERIFIED_HEADERS:
            return (theirs == ABSENT) == (ours == ABSENT)
        if name == "traceparent":
            return self.allows_trace(theirs, ours)
        return theirs == ours or (name == "content-type" and is_redirected and ours == ABSENT)

    def keep_trace(self, trace_parent: str) -> None:
        """Require that a trace which the caller named comes back with the same id."""
        match = _TRACE_PARENT.fullmatch(trace_parent)
        if match is not None:
            self._same_id(match[1], match[1])

    def allows_trace(self, theirs: str, ours: str) -> bool:
        """Whether two `traceparent` values differ only in ids that the server made."""
        their_ids, our_ids = _TRACE_PARENT.fullmatch(theirs), _TRACE_PARENT.fullmatch(ours)
        if their_ids is None or our_ids is None:
            return theirs == ours
        same_trace = self._same_id(their_ids[1], our_ids[1])
        same_span = self._same_id(their_ids[2], our_ids[2])
        return same_trace and same_span and their_ids[3] == our_ids[3]

    def _same_id(self, theirs: str, ours: str) -> bool:
        """Whether these ids stand for each other. From now on they do if both are new."""
        return self._ours_of.setdefault(theirs, ours) == ours and self._theirs_of.setdefault(ours, theirs) == theirs


def masked(body: str) -> str:
    """`body` with every value that may differ masked."""
    return _MASKED.sub(r'"\1":"~"', body)


def _distance(theirs: str, ours: str) -> float:
    """The nanoseconds between two timestamps. Infinite if their format differs."""
    try:
        distance = abs(parse_moment(theirs) - parse_moment(ours))
    except ValueError:
        return math.inf
    return math.inf if _zone(theirs) != _zone(ours) or _PADDED_FRACTION.search(ours) else distance


def _zone(timestamp: str) -> str:
    return timestamp[-1] if timestamp.endswith("Z") else timestamp[-6:]
