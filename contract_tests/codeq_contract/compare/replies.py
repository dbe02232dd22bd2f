"""Compares what the two servers of a session answered and called back, once ids and addresses are aligned."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial

from codeq_contract.driver import Received, Reply
from codeq_contract.recordings.format import (
    CALLBACK_HEADERS,
    REPLY_HEADERS,
    SECRET_SETTING,
    Call,
    Callback,
    Header,
    Recording,
    bytes_of,
    text_of,
)
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.replay.allowed_differences import TRACE_KEY, AllowedDifferences, Window
from codeq_contract.replay.callbacks import compare_callbacks
from codeq_contract.replay.comparison import Difference, call_difference, compare_reply

from .participant import Participant
from .steps import NAME, Send

#: By how many nanoseconds a server in real time may be slower than the other one.
SLOWNESS = 1500 * MILLISECOND

_REQUEST_ID = "x-request-id"
_MADE_ID, _SHAPE_OF_ID = re.compile("[0-9a-f]{32}"), "32 hex digits"
_METRICS = "/metrics"


@dataclass(slots=True)
class Comparison:
    """Compares a session's replies. The left server's count as recorded, so that the rules are those of a replay."""

    left: Participant
    right: Participant
    is_virtual: bool
    calls: list[Call] = field(default_factory=list)
    _allowed: AllowedDifferences = field(init=False)

    def __post_init__(self) -> None:
        self._allowed = _NoTimeMayDiffer() if self.is_virtual else AllowedDifferences(lateness=SLOWNESS)

    def replies(self, step: Send, left: Reply, right: Reply) -> list[Difference]:
        """The differences of two aligned replies to a request."""
        for name, text in step.headers:
            if name == "traceparent":
                self._allowed.keep_trace(text)
        call = _call(step, left, right)
        self.calls.append(call)
        differences = compare_reply(call, right, self._allowed)
        theirs, ours = left.returned - left.called, right.returned - right.called
        if abs(theirs - ours) > (0 if self.is_virtual else SLOWNESS):
            seconds = (f"{took / SECOND:.3f} s" for took in (theirs, ours))
            differences.append(call_difference(call, "time until the answer", *seconds))
        return differences

    def callbacks(self, until: int) -> list[Difference]:
        """The differences of the callbacks that had come by `until`, less the lateness that is allowed."""
        header = Header("", "", until, {SECRET_SETTING: self.left.driver.settings.callback_secret})
        latest = until + 1 - self._allowed.lateness
        theirs = tuple(
            _callback(_in_placeholders(self.left, each)) for each in self.left.callbacks() if each.at < latest
        )
        # The recording ends with its last call.
        recording = Recording(header, (replace(self.calls[-1], answered=until),), theirs)
        ours = self.right.callbacks()
        return compare_callbacks(recording, ours, self._allowed, partial(_in_placeholders, self.right))

    def aligned(self, participant: Participant, step: Send, reply: Reply) -> Reply:
        """A reply without what is different by nature: the rest must be the same on both servers."""
        headers = {name: participant.aligned(reply.headers[name]) for name in REPLY_HEADERS if name in reply.headers}
        if _REQUEST_ID in reply.headers:
            headers[_REQUEST_ID] = _shape_of_id(reply.headers[_REQUEST_ID])
        text = participant.aligned(text_of(reply.body)) or reply.problem.partition(":")[0]
        if step.target.partition("?")[0] == _METRICS:
            text = "\n".join(filter(self._is_of_session, text.splitlines()))
        return replace(reply, headers=headers, body=bytes_of(text))

    def _is_of_session(self, line: str) -> bool:
        """Whether a line of the metrics counts what this session did, and not how long that took in real time."""
        return NAME in line and (self.is_virtual or "_bucket{" not in line)


@dataclass(slots=True)
class _NoTimeMayDiffer(AllowedDifferences):
    """For two clocks that stand still, and show the same time."""

    def allows(self, key: str, theirs: str, ours: str, window: Window) -> bool:  # noqa: ARG002 - as in the base class
        """As `AllowedDifferences.allows`."""
        return self.allows_trace(theirs, ours) if key == TRACE_KEY else theirs == ours


def _in_placeholders(participant: Participant, received: Received) -> Received:
    """A request to the webhook without what is different by nature."""
    path, body = participant.aligned(received.path), participant.aligned(text_of(received.body))
    return replace(received, path=path, body=bytes_of(body))


def _callback(received: Received) -> Callback:
    """A request of the left server to the webhook as a recorded one."""
    headers = {name: received.headers[name] for name in CALLBACK_HEADERS if name in received.headers}
    return Callback(received.at, received.method, received.path, headers, text_of(received.body), 200)


def _call(step: Send, left: Reply, right: Reply) -> Call:
    """The left server's aligned reply as that of a recorded call, in the interval of both replies."""
    return Call(
        number=step.number,
        sent=min(left.called, right.called),
        answered=max(left.returned, right.returned),
        identity=step.caller,
        method=step.method,
        path=step.target,
        headers=dict(step.headers),
        body=None if step.body is None else str(step.body),
        status=left.status,
        reply_headers=left.headers,
        reply=text_of(left.body),
    )


def _shape_of_id(text: str) -> str:
    """The id of a request: the caller's own, or the shape of one that the server makes (R20)."""
    return _SHAPE_OF_ID if _MADE_ID.fullmatch(text) else text
