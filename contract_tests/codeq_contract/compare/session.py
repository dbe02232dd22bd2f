"""A session: a plan that is played on both servers in lockstep, until it is over or they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codeq_contract.driver import Reply
from codeq_contract.replay.comparison import Difference

from .callers import ALL
from .kinds import Kind, kind_of_callbacks, kind_of_reply
from .pair import Pair
from .participant import Participant
from .replies import Comparison
from .steps import HOOKS, Plan, Send, Wait

#: Seconds that callbacks get at the end: on clocks that stand still for all their tries, in real time for two. The
#: second comes 2 seconds after the first, or later by `replies.SLOWNESS`.
_VIRTUAL_END, _REAL_END = 20.0, 4.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that both servers got, and what each answered, with placeholders for ids."""

    request: Send
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference: its kind, the plan up to it, the places with both values, and the requests with both replies."""

    kind: Kind
    plan: Plan
    differences: tuple[Difference, ...]
    exchanges: tuple[Exchange, ...]

    @property
    def caller(self) -> str:
        """Who made the last request. Empty if the difference shows after a wait."""
        last = self.plan[-1]
        return last.caller if isinstance(last, Send) else ""


class Session:
    """One session under a name that no other session has. After its end `finding` says how the servers differ."""

    def __init__(self, pair: Pair, plan: Plan, name: str) -> None:
        self.finding: Finding | None = None
        self.requests = 0
        self._pair = pair
        self._plan = plan
        self._steps = iter(enumerate(plan, start=1))
        tokens = _tokens(pair, plan, name)
        left, right = (
            Participant(driver, name, {**driver.tokens, **tokens}, pair.origin_of_hooks(driver), pair.is_direct)
            for driver in pair.drivers
        )
        self._comparison = Comparison(left, right, pair.is_virtual)
        self._exchanges: list[Exchange] = []
        self._has_callbacks = pair.have_webhooks and any(
            isinstance(step, Send) and HOOKS in str(step.body) for step in plan
        )

    def advance(self) -> float | None:
        """Play on to the next wait, and return its seconds. None at the end."""
        for length, step in self._steps:
            if isinstance(step, Wait):
                return step.seconds
            self._send(step, self._plan[:length])
            if self.finding is not None:
                return None
        if self._has_callbacks:
            self._has_callbacks = False
            return _VIRTUAL_END if self._pair.is_virtual else _REAL_END
        self._compare_callbacks()
        return None

    def _send(self, step: Send, plan: Plan) -> None:
        """Send a request to both, and compare the replies."""
        self._pair.align()
        left, right = (
            self._comparison.aligned(participant, step, participant.send(step))
            for participant in (self._comparison.left, self._comparison.right)
        )
        self.requests += 1
        self._exchanges.append(Exchange(step, _shown(left), _shown(right)))
        differences = self._comparison.replies(step, left, right)
        if differences:
            path = self._comparison.left.filled(step.target)
            self._note_finding(kind_of_reply(step.method, path, differences), plan, differences)

    def _compare_callbacks(self) -> None:
        if self._pair.have_webhooks and self.requests:
            self._pair.align()
            differences = self._comparison.callbacks(self._pair.now)
            if differences:
                self._note_finding(kind_of_callbacks(differences), self._plan, differences)

    def _note_finding(self, kind: Kind, plan: Plan, differences: list[Difference]) -> None:
        self.finding = Finding(kind, plan, tuple(differences), tuple(self._exchanges))


def _tokens(pair: Pair, plan: Plan, name: str) -> Mapping[str, str]:
    """The tokens of the session's callers, where the suite makes them: no other session is in their tenants."""
    if pair.issuer is None:
        return {}
    callers = sorted({step.caller for step in plan if isinstance(step, Send) and step.caller})
    return {caller: ALL[caller].token(pair.issuer, name, pair.now) for caller in callers}


def _shown(reply: Reply) -> str:
    """The status and the body of a reply, or why there is none."""
    return f"{reply.status or 'no reply'} {reply.text}".strip()
