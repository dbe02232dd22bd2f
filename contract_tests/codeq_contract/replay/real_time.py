"""Replays a recording on any server in real time: many sessions side by side, each under separate names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

from codeq_contract.driver import Driver, NotInTimeError, Received, Reply, Request
from codeq_contract.recordings.format import Call, Recording
from codeq_contract.recordings.times import SECOND, moment_text

from .allowed_differences import CALLBACKS_LATE, LATENCY, AllowedDifferences
from .callbacks import compare_callbacks
from .comparison import Difference, call_difference, compare_reply
from .player import may_be_long_poll, poll_interval
from .recorded_values import RecordedValues
from .translation import Translation

#: What a session has before its first call (ns).
_HEAD_START = SECOND // 20

#: Seconds that the last callbacks get.
_CALLBACK_PATIENCE = 20


@dataclass
class RealTimeSession:
    """One session of a recording on the server of `driver`, by requests that `send` sends.

    `prefix` begins the names of the session. It is empty on a server that nothing else uses. `subjects` are those of
    the callers of a deployment, with the recorded ones.
    """

    recording: Recording
    driver: Driver
    send: Callable[[Request], Reply]
    prefix: str
    subjects: Mapping[str, str] = field(default_factory=dict)
    #: By how many nanoseconds the session was late at most.
    lateness: int = 0
    _translation: Translation = field(init=False)
    _allowed: AllowedDifferences = field(default_factory=AllowedDifferences)
    _long_polls: list[tuple[Call, Future[Reply]]] = field(default_factory=list)
    _differences: list[Difference] = field(default_factory=list)

    def __post_init__(self) -> None:
        epoch = self.recording.header.epoch
        # By whole seconds, so that the server rounds the same fractions as the recorded one did.
        shift = -((epoch - self.driver.clock.now() - _HEAD_START) // SECOND) * SECOND
        values = RecordedValues(self.recording.header)
        self._translation = Translation(self.prefix, shift, self.driver.hooks_origin, values, self.subjects)

    def play(self) -> list[Difference]:
        """Replay the recording and return all differences."""
        for callback in self.recording.callbacks:
            path, answer = self._translation.answer(callback)
            self.driver.hooks.answer(path, answer)
        calls = [call for call in self.recording.calls if call.status]
        with ThreadPoolExecutor(max(1, sum(map(may_be_long_poll, calls))), thread_name_prefix="long poll") as threads:
            for call in calls:
                self._finish_long_polls(call.sent)
                self._wait_until(call.sent)
                self._replay(call, threads)
            self._finish_long_polls(self.recording.end)
        self._wait_until(self.recording.end + LATENCY)
        return [*self._differences, *self._callback_differences()]

    def _replay(self, call: Call, threads: ThreadPoolExecutor) -> None:
        """Send the request of a call, and compare the reply; a long poll is compared when it ends."""
        self._allowed.keep_trace(call.headers.get("traceparent", ""))
        request = self._translation.request(call)
        if may_be_long_poll(call):
            self._long_polls.append((call, threads.submit(self.send, request)))
            self._long_polls.sort(key=lambda pending: pending[0].answered)
        else:
            self._compare(call, self.send(request))

    def _finish_long_polls(self, moment: int) -> None:
        """Take the replies of the long polls that ended before `moment` of the recording."""
        while self._long_polls and self._long_polls[0][0].answered <= moment:
            call, pending = self._long_polls.pop(0)
            reply = pending.result()
            earliest = call.answered - LATENCY - self.lateness - _unseen_before(call)
            answered = reply.returned - self._translation.shift
            if answered < earliest:
                times = moment_text(call.answered), moment_text(answered)
                self._differences.append(call_difference(call, "time of the answer", *times))
            self._compare(call, reply)

    def _compare(self, call: Call, reply: Reply) -> None:
        """Compare a reply. That it was late, or took long, counts as lateness of the session."""
        self._note_lateness(reply.called - self._translation.shift - call.sent)
        self._note_lateness(reply.returned - self._translation.shift - call.answered)
        ours = self._translation.reply(call, reply)
        self._differences.extend(compare_reply(call, ours, self._allowed))

    def _note_lateness(self, nanoseconds: int) -> None:
        self.lateness = self._allowed.lateness = max(self.lateness, nanoseconds)

    def _wait_until(self, moment: int) -> None:
        """Wait for a moment of the recording."""
        self.driver.clock.until(moment + self._translation.shift)

    def _callback_differences(self) -> list[Difference]:
        """The differences of the callbacks. The last ones get some time to arrive."""
        recorded = self.recording.callbacks
        if not (self.driver.hooks_origin and self._paths):
            return []
        with suppress(NotInTimeError):
            self.driver.clock.eventually(lambda: len(self._received()) >= len(recorded), within=_CALLBACK_PATIENCE)
        self._allowed.callbacks_late = CALLBACKS_LATE
        self._allowed.callbacks_early = self._slowest_call
        bodies = "\n".join(callback.body for callback in recorded)
        return compare_callbacks(
            self.recording, self._received(), self._allowed, lambda request: self._translation.received(request, bodies)
        )

    @property
    def _slowest_call(self) -> int:
        """How long the recorded server took at most. Its callbacks came late by as much as that."""
        calls = (call for call in self.recording.calls if not may_be_long_poll(call))
        return max((call.answered - call.sent for call in calls), default=0)

    @cached_property
    def _paths(self) -> set[str]:
        """The paths of all webhooks of the session."""
        bodies = "\n".join(call.body or "" for call in self.recording.calls)
        answered = {self._translation.answer(callback)[0] for callback in self.recording.callbacks}
        return self._translation.webhook_paths(bodies) | answered

    def _received(self) -> list[Received]:
        """The callbacks so far, in their order."""
        received = [request for path in self._paths for request in self.driver.hooks.received(path)]
        return sorted(received, key=lambda request: request.at)


def _unseen_before(call: Call) -> int:
    """How long before the answer of a long poll what it waited for may have happened (ns).

    The recorded poll found it at its next try. Ours tries at other moments, and may find it sooner.
    """
    return poll_interval(call) if call.status == HTTPStatus.OK else 0
