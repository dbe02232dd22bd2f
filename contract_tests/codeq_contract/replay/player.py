"""Replays a recording on a fake: the same requests at the same moments, each reply compared with the recorded one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_contract.driver.hooks import ORIGIN
from codeq_contract.recordings.times import moment_text
from codeq_contract.replay.allowed_differences import LATENCY, Tolerance
from codeq_contract.replay.callbacks import compare_callbacks
from codeq_contract.replay.comparison import Difference, Reply, call_difference, compare_reply
from codeq_contract.replay.control import Configuration
from codeq_contract.replay.credentials import Signer, credentials
from codeq_contract.replay.recorded_values import Draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from codeq_contract.recordings.format import Call, Recording
    from codeq_contract.replay.servers import Session, Target

PATIENCE = 5.0
"""Seconds of real time that a fake has to answer a call once the moment has come."""

_TOKEN = re.compile(r"\{token:([^}]+)\}")


def replay(recording: Recording, target: Target, *, signer: Signer | None = None) -> list[Difference]:
    """Replay `recording` on `target` and tell every difference, in the order of the recording.

    With a `signer` the identities of the session send signed tokens, as they did when it was recorded; without one
    they are identities that the fake knows by name.

    Raises ControlError or httpx.HTTPError when the fake cannot be reached or set up.
    """
    return asyncio.run(_replay(recording, target, signer))


async def _replay(recording: Recording, target: Target, signer: Signer | None) -> list[Difference]:
    header = recording.header
    proof = credentials(header, signer)
    configuration = Configuration(
        profile=header.profile,
        settings={**header.settings, **proof.settings},
        yaml=header.yaml,
        identities=proof.identities,
        now=moment_text(header.epoch),
    )
    async with target.open(configuration, recording) as session:
        return await _Player(recording, session, proof.tokens).play()


@dataclass(frozen=True, slots=True)
class _Pending:
    """A call under way, and its answer to come."""

    call: Call
    answer: asyncio.Task[httpx.Response]


class _Player:
    """Plays one recording on one session."""

    def __init__(self, recording: Recording, session: Session, tokens: Mapping[str, str]) -> None:
        self._recording = recording
        self._session = session
        self._tokens = tokens
        self._draws = Draws(recording.header)
        self._tolerance = Tolerance()
        self._parked: list[_Pending] = []
        self._differences: list[Difference] = []
        self._now = recording.header.epoch

    async def play(self) -> list[Difference]:
        for call in self._recording.calls:
            # Nobody knows whether a call without a reply was heard.
            if call.status:
                await self._pass_time(call.sent)
                await self._make(call)
        await self._pass_time(self._recording.end + LATENCY)
        received = self._session.hooks.received
        return self._differences + compare_callbacks(self._recording, received, self._tolerance)

    async def _make(self, call: Call) -> None:
        ids, delays = self._draws.ids(call), self._draws.delays(call)
        if ids or delays:
            await self._session.control.queue(ids, delays)
        self._tolerance.trace_given(call.headers.get("traceparent", ""))
        request = self._request(call)
        if _may_wait(call):
            self._parked.append(_Pending(call, await self._session.start(request)))
            self._parked.sort(key=lambda parked: parked.call.answered)
        else:
            await self._take(_Pending(call, asyncio.create_task(self._session.http.send(request))))

    def _request(self, call: Call) -> httpx.Request:
        headers = {"Accept-Encoding": "gzip"}
        if call.identity is not None:
            headers["Authorization"] = f"Bearer {self._tokens[call.identity]}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        for name, value in call.headers.items():
            headers[name] = _TOKEN.sub(lambda match: self._tokens[match[1]], value)
        body = None if call.body is None else call.body.replace(ORIGIN, self._session.hooks_origin).encode()
        # The path goes out as it was recorded; joining it to a base would tidy it up.
        url = self._session.http.base_url.copy_with(raw_path=call.path.encode())
        return self._session.http.build_request(call.method, url, headers=headers, content=body)

    async def _pass_time(self, moment: int) -> None:
        """Let time pass until `moment`, and take the answers of the parked claims that end by then."""
        while self._parked and self._parked[0].call.answered <= moment:
            parked = self._parked.pop(0)
            await self._see_it_wait(parked)
            await self._advance(parked.call.answered)
            await self._take(parked)
        await self._advance(moment)

    async def _advance(self, moment: int) -> None:
        if moment > self._now:
            self._now = moment
            await self._session.control.advance_to(moment)

    async def _see_it_wait(self, parked: _Pending) -> None:
        early = parked.call.answered - LATENCY
        if early > self._now:
            await self._advance(early)
            if parked.answer.done():
                theirs, ours = moment_text(parked.call.answered), f"before {moment_text(early)}"
                self._differences.append(call_difference(parked.call, "time of the answer", theirs, ours))

    async def _take(self, pending: _Pending) -> None:
        call = pending.call
        answered, _ = await asyncio.wait({pending.answer}, timeout=PATIENCE)
        if answered:
            self._judge(call, await pending.answer)
        else:
            pending.answer.cancel()
            self._differences.append(call_difference(call, "status", str(call.status), "no answer"))

    def _judge(self, call: Call, response: httpx.Response) -> None:
        text = response.content.decode(errors="backslashreplace").replace(self._session.hooks_origin, ORIGIN)
        reply = Reply(response.status_code, dict(response.headers), text)
        self._differences.extend(compare_reply(call, reply, self._tolerance))


def _may_wait(call: Call) -> bool:
    """Whether the fake may park the call until time passes (K9)."""
    return call.path == "/v1/codeq/tasks/claim" and "waitseconds" in (call.body or "").lower()
