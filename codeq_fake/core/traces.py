"""W3C traces: which parent a new task has, and the spans that continue a trace (X1)."""

from __future__ import annotations

import re

from .effects import Ids

#: The form of a `traceparent` that the server's tracing library accepts. One of a later version than 00 may have other
#: flags, and more after them.
_TRACE_PARENT = re.compile(
    "(00(?=.{50}-0[0-3]$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
#: The flags of a trace.
_SAMPLED, _RANDOM = 1, 2


class Traces:
    """The rules of the tracing library of a version, and the source of the ids of new traces and spans."""

    def __init__(self, ids: Ids, *, knows_random_flag: bool) -> None:
        self._ids = ids
        self._known_flags = _SAMPLED | _RANDOM if knows_random_flag else _SAMPLED

    def accepts(self, text: str) -> bool:
        """Whether the value of a `traceparent` header is taken as the parent. Otherwise a new trace begins.

        A library that does not know the flag "random" refuses version 00 with both flags, but not with "random" alone.
        """
        has_both_flags = text.startswith("00-") and text.endswith("-03")
        is_known = self._known_flags & _RANDOM or not has_both_flags
        return bool(is_known and _TRACE_PARENT.fullmatch(text))

    def next_span(self, trace_parent: str) -> str:
        """A new span of the trace in `trace_parent`, a text that `accepts` accepts; of a new trace if that is empty."""
        match trace_parent.split("-"):
            case [_, trace_id, _, flags, *_]:
                return f"00-{trace_id}-{self._ids.span_id()}-{int(flags, 16) & self._known_flags:02x}"
            case _:
                return f"00-{self._ids.trace_id()}-{self._ids.span_id()}-01"
