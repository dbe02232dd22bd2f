"""Replays a recording on a fake: the same requests at the same moments, each reply compared with the recorded one.

The recorded server carried out a call at some moment between its sending and its answer, and a slow one may have been
past an edge by then. So a replay can also have the calls at the moments of their answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from codeq_contract.driver.identities import Signer
from codeq_contract.driver.requests import TASKS, Reply, Request, signed, target_of
from codeq_contract.recordings.format import REQUESTED_ENCODING, WEBHOOK_ORIGIN, Call, Recording, bytes_of
from codeq_contract.recordings.times import MILLISECOND, moment_text

from .allowed_differences import LATENCY, AllowedDifferences
from .callbacks import compare_callbacks
from .comparison import Difference, call_difference, compare_reply
from .reaper_phase import reaper_phase
from .recorded_values import RecordedValues, credentials
from .servers import ReplayServer, Target

if TYPE_CHECKING:
    import httpx

PATIENCE = 5.0
"""Seconds of real time that a fake has to answer a call once its moment has come."""

#: Between two tries of a claim that waits (K9), and of a read that waits for a result (G1).
_CLAIM_INTERVAL = 250 * MILLISECOND
_READ_INTERVAL = 100 * MILLISECOND


def replay(
    recording: Recording, target: Target, *, signer: Signer | None = None, late: bool = False
) -> list[Difference]:
    """Replay `recording` on `target` and return all differences, in the order of the recording.

    With a `signer` the identities send signed tokens, as in the recorded session. Without one the fake knows them by
    name. If the replay is `late`, the calls come at the moments of their answers. Raises ControlError or
    httpx.HTTPError if the fake cannot be reached or set up.
    """
    return asyncio.run(_replay(recording, target, signer, late=late))


def replay_early_or_late(recording: Recording, target: Target, *, signer: Signer | None = None) -> list[Difference]:
    """As `replay`. If a late replay shows no differences, there are none: the recorded server was merely slow."""
    differences = replay(recording, target, signer=signer)
    return differences if differences and replay(recording, target, signer=signer, late=True) else []


async def _replay(recording: Recording, target: Target, signer: Signer | None, *, late: bool) -> list[Difference]:
    """As `replay`, in a running event loop."""
    header = recording.header
    proof = credentials(header, signer)
    configuration = {
        "profile": header.profile,
        "settings": {**header.settings, **proof.settings},
        "yaml": header.yaml,
        "identities": proof.identities,
        "now": moment_text(header.epoch),
        "clock": "manual",
        **reaper_phase(recording),
    }
    async with target.open(configuration, recording) as server:
        return await _Player(recording, server, proof.tokens, late=late).play()


@dataclass(frozen=True, slots=True)
class _Pending:
    """A call without a reply so far."""

    call: Call
    reply: asyncio.Task[httpx.Response]


class _Player:
    """Plays one recording on one server. If it is `late`, the calls come at the moments of their answers."""

    def __init__(
        self, recording: Recording, server: ReplayServer, tokens: Mapping[str, str], *, late: bool = False
    ) -> None:
        self._recording = recording
        self._moment = _latest_moment if late else attrgetter("sent")
        # It is unknown whether the server received a call without a reply.
        answered = [call for call in recording.calls if call.status]
        lateness = max((self._moment(call) - call.sent for call in answered), default=0)
        self._calls = sorted(answered, key=self._moment)
        self._server = server
        self._tokens = tokens
        self._values = RecordedValues(recording.header)
        self._allowed = AllowedDifferences(lateness=lateness)
        #: In the order of their recorded answers.
        self._long_polls: list[_Pending] = []
        self._differences: list[Difference] = []
        self._now = recording.header.epoch

    async def play(self) -> list[Difference]:
        for call in self._calls:
            await self._pass_time(self._moment(call))
            await self._replay_call(call)
        await self._pass_time(self._recording.end + LATENCY)
        return self._differences + compare_callbacks(self._recording, self._server.hooks.requests, self._allowed)

    async def _replay_call(self, call: Call) -> None:
        """Send the request of a call, and compare the reply; a long poll is compared when time has passed."""
        ids, delays = self._values.take_new_ids(call), self._values.delays(call)
        if ids or delays:
            await self._server.control.queue(ids, delays)
        self._allowed.keep_trace(call.headers.get("traceparent", ""))
        request = self._request(call)
        if may_be_long_poll(call):
            self._long_polls.append(_Pending(call, await self._server.start(request)))
            self._long_polls.sort(key=lambda pending: pending.call.answered)
        else:
            await self._finish(_Pending(call, asyncio.create_task(self._server.http.send(request))))

    def _request(self, call: Call) -> httpx.Request:
        body = None if call.body is None else bytes_of(call.body.replace(WEBHOOK_ORIGIN, self._server.hooks_origin))
        request = Request(
            call.method, call.path, call.identity, body, {"Accept-Encoding": REQUESTED_ENCODING, **call.headers}
        )
        headers = dict(signed(request, self._tokens).headers)
        # The path goes out as it was recorded. In a URL it would be normalized.
        target = {"target": target_of(call.path)}
        return self._server.http.build_request(call.method, "/", headers=headers, content=body, extensions=target)

    async def _pass_time(self, moment: int) -> None:
        """Let time pass until `moment`, and take the replies of the long polls that end by then."""
        while self._long_polls and self._long_polls[0].call.answered <= moment:
            pending = self._long_polls.pop(0)
            await self._advance_almost_to_end(pending)
            await self._advance(pending.call.answered)
            await self._finish(pending)
        await self._advance(moment)

    async def _advance(self, moment: int) -> None:
        if moment > self._now:
            self._now = moment
            await self._server.control.advance_to(moment)

    async def _advance_almost_to_end(self, pending: _Pending) -> None:
        """Advance to shortly before the recorded end of a long poll, which must still wait then."""
        early = pending.call.answered - LATENCY
        if early > self._now:
            await self._advance(early)
            if pending.reply.done():
                theirs, ours = moment_text(pending.call.answered), f"before {moment_text(early)}"
                self._differences.append(call_difference(pending.call, "time of the answer", theirs, ours))

    async def _finish(self, pending: _Pending) -> None:
        """Compare the reply to a call, or note that none came within PATIENCE."""
        call = pending.call
        answered, _ = await asyncio.wait({pending.reply}, timeout=PATIENCE)
        if answered:
            self._compare(call, await pending.reply)
        else:
            pending.reply.cancel()
            self._differences.append(call_difference(call, "status", str(call.status), "no answer"))

    def _compare(self, call: Call, response: httpx.Response) -> None:
        body = response.content.replace(self._server.hooks_origin.encode(), WEBHOOK_ORIGIN.encode())
        reply = Reply(call.sent, call.answered, response.status_code, dict(response.headers), body)
        self._differences.extend(compare_reply(call, reply, self._allowed))


def _latest_moment(call: Call) -> int:
    """The latest moment at which the server can have begun a call: a whole number of tries before its answer."""
    if not may_be_long_poll(call):
        return call.answered
    return call.sent + (call.answered - call.sent) % poll_interval(call)


def poll_interval(call: Call) -> int:
    """The nanoseconds between two tries of a long poll, the first of which is at once (K9, G1)."""
    return _READ_INTERVAL if call.method == "GET" else _CLAIM_INTERVAL


def may_be_long_poll(call: Call) -> bool:
    """Whether the fake may hold the call until time passes (K9, G1). Names in a body may be in upper case (B1)."""
    if call.method == "GET":
        return "/result?" in call.path and "waitSeconds=" in call.path
    return call.path == f"{TASKS}/claim" and "waitseconds" in (call.body or "").lower()
