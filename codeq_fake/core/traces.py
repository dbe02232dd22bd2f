"""W3C traces: which parent a new task has, and the spans that continue a trace (X1)."""

from __future__ import annotations

import re

from .effects import Ids

#: What the server's tracing library takes as a parent. Others begin a new trace, and their state is not kept. Those of
#: a later version than 00 may have other flags, and more after them.
_TRACE_PARENT = re.compile(
    "(00(?=.{50}-0[0-3]$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
#: Its flags. An older library does not know "random", and refuses both together in version 00.
_SAMPLED, _RANDOM = 1, 2


class Traces:
    """The rules of the tracing library of a version, and the source of the ids of new traces and spans."""

    def __init__(self, ids: Ids, *, knows_random_flag: bool) -> None:
        self._ids = ids
        self._known_flags = _SAMPLED | _RANDOM if knows_random_flag else _SAMPLED

    def is_parent(self, text: str) -> bool:
        """Whether a task is part of the trace that its creator names."""
        has_both_flags = text.startswith("00-") and text.endswith("-03")
        is_known = self._known_flags & _RANDOM or not has_both_flags
        return bool(is_known and _TRACE_PARENT.fullmatch(text))

    def next_span(self, trace_parent: str) -> str:
        """A new span of the trace in `trace_parent`, or of a new trace."""
        match trace_parent.split("-"):
            case [_, trace_id, _, flags, *_]:
                return f"00-{trace_id}-{self._ids.span_id()}-{int(flags, 16) & self._known_flags:02x}"
            case _:
                return f"00-{self._ids.trace_id()}-{self._ids.span_id()}-01"
