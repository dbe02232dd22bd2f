"""Differences between the fake and a real server that its page of differences describes. They are named, not hidden."""

from __future__ import annotations

from dataclasses import dataclass

from .plans import Send
from .session import Finding


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """A difference by the clause that describes it, the ends of the routes that show it, and the caller it takes."""

    clause: str
    routes: tuple[str, ...]
    caller: str

    def is_shown_by(self, finding: Finding) -> bool:
        """Whether the last request of a finding shows it."""
        last = finding.plan[-1]
        return isinstance(last, Send) and finding.kind.route.endswith(self.routes) and last.caller.endswith(self.caller)


#: All of them.
KNOWN = (KnownDifference("H2 and D2", ("/heartbeat", "/abandon"), "worker without subject"),)

_PAGE = "docs/reference/differences.md"


def known_as(finding: Finding) -> str:
    """Where a difference is described. Empty if it is not."""
    return next((f"{known.clause} in {_PAGE}" for known in KNOWN if known.is_shown_by(finding)), "")
