"""Translates between a recording and a session of it on another server: names, ids, webhooks and times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from codeq_contract.driver.requests import ADMIN, Reply, Request
from codeq_contract.driver.webhooks import Answer, Received
from codeq_contract.recordings.format import REQUESTED_ENCODING, WEBHOOK_ORIGIN, Call, Callback, bytes_of, text_of
from codeq_contract.recordings.times import SECOND, parse_moment

from .recorded_values import RecordedValues, ids_in

#: The commands that a claim or a subscription without commands means (K1, U1). They have the same name everywhere.
BUILT_IN = frozenset({"generate_master", "generate_creative"})

#: Times of a request that are this close to the session belong to it. Others are constants.
_NEAR = 30 * 86_400 * SECOND

_STRING = r'"(?:[^"\\]|\\.)*"'
#: A field whose text, or whose list of texts, names something that the sessions on a server would share (B1, C8).
_NAMING = re.compile(rf'("(?:command|commands|eventTypes|idempotencyKey)"\s*:\s*)({_STRING}|\[[^\]]*\])', re.IGNORECASE)
_NAMED = re.compile(_STRING)
_QUEUE = re.compile(rf"(?<={re.escape(ADMIN)}/queues/)[^/?]+")

_SUBJECT = re.compile(r'(?<=Id":")[^"]+')

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)((?:\.\d+)?(?:Z|[+-]\d\d:\d\d))")
_ARTIFACTS = re.compile(r'file://[^"]*?(?=/results/)')


@dataclass(slots=True)
class Translation:
    """What stands for what in a session: each name gets `prefix`, each time is `shift` later, and ids are learned.

    `shift` is in nanoseconds, whole seconds: what the server rounds it rounds alike. `hooks_origin` is the webhook's
    origin for the server. `subjects` are the subjects and tenants of a deployment's callers, with the recorded ones.
    """

    prefix: str
    shift: int
    hooks_origin: str
    values: RecordedValues
    subjects: Mapping[str, str]
    _ours: dict[str, str] = field(default_factory=dict)
    _theirs: dict[str, str] = field(default_factory=dict)
    #: The folders of artifacts of the server, with the recorded ones.
    _folders: dict[str, str] = field(default_factory=dict)

    def request(self, call: Call) -> Request:
        """The request of a call as this session sends it."""
        path = self._with_our_ids(_QUEUE.sub(lambda found: self._name(found[0]), call.path))
        body = None if call.body is None else bytes_of(self._body(call.body))
        return Request(call.method, path, call.identity, body, {"Accept-Encoding": REQUESTED_ENCODING, **call.headers})

    def reply(self, call: Call, reply: Reply) -> Reply:
        """The reply to a call as the recorded session would have had it. New ids are learned from it."""
        text = text_of(reply.body)
        self._learn(call, text)
        headers = {name: self._recorded(value, call.reply) for name, value in reply.headers.items()}
        return replace(reply, headers=headers, body=bytes_of(self._recorded(text, call.reply)))

    def webhook_paths(self, recording_text: str) -> set[str]:
        """The paths of the webhooks in a text of the recording, as this session names them."""
        paths = re.findall(rf'{re.escape(WEBHOOK_ORIGIN)}(/[^"\s\\?]*)', recording_text)
        return {f"{self._hooks_path}{path}" for path in paths}

    def answer(self, callback: Callback) -> tuple[str, Answer]:
        """The path of a recorded callback in this session, and the answer to it."""
        location = callback.location
        if location is not None:
            location = self._webhooks(location) if "://" in location else f"{self._hooks_path}{location}"
        return f"{self._hooks_path}{callback.path}", Answer(callback.status, location)

    def received(self, request: Received, recorded: str) -> Received:
        """A callback as the recorded webhook, which received the texts `recorded`, would have received it."""
        body = bytes_of(self._recorded(text_of(request.body), recorded))
        return replace(request, at=request.at - self.shift, path=request.path.removeprefix(self._hooks_path), body=body)

    def _body(self, body: str) -> str:
        named = _NAMING.sub(lambda found: found[1] + _NAMED.sub(self._quoted_name, found[2]), body)
        return self._shifted(self._with_our_ids(self._webhooks(named)))

    def _quoted_name(self, found: re.Match[str]) -> str:
        return f'"{self._name(found[0][1:-1])}"'

    def _name(self, name: str) -> str:
        return session_name(self.prefix, name)

    def _webhooks(self, text: str) -> str:
        return text.replace(WEBHOOK_ORIGIN, self.hooks_origin + self._hooks_path)

    @property
    def _hooks_path(self) -> str:
        """The beginning of the paths of this session's webhooks."""
        return f"/{self.prefix}" if self.prefix else ""

    def _learn(self, call: Call, text: str) -> None:
        """Note the new ids of a reply, which come in the same order as in the recorded reply."""
        theirs = self.values.take_new_ids(call)
        ours = [new for new in ids_in(text) if new not in self._theirs]
        for their_id, our_id in zip(theirs, ours, strict=False):
            self._ours[their_id], self._theirs[our_id] = our_id, their_id

    def _with_our_ids(self, text: str) -> str:
        return _ID.sub(lambda found: self._ours.get(found[0], found[0]), text)

    def _recorded(self, text: str, their_text: str) -> str:
        """A text of the server in the recording's names and times. A time that the recorded text has is a constant.

        The folder of artifacts in both is learned.
        """
        ours, theirs = _ARTIFACTS.search(text), _ARTIFACTS.search(their_text)
        if ours is not None and theirs is not None:
            self._folders[ours[0]] = theirs[0]
        for our_folder, their_folder in self._folders.items():
            text = text.replace(our_folder, their_folder)
        text = text.replace(self.hooks_origin + self._hooks_path, WEBHOOK_ORIGIN)
        if self.prefix:
            text = text.replace(self.prefix, "")
        text = _ID.sub(lambda found: self._theirs.get(found[0], found[0]), text)
        text = _SUBJECT.sub(lambda found: self.subjects.get(found[0], found[0]), text)
        return _TIME.sub(lambda found: found[0] if found[0] in their_text else _moved(found, -self.shift), text)

    def _shifted(self, text: str) -> str:
        """A text of the recording with the times of the session that are near its beginning moved to ours."""
        return _TIME.sub(lambda found: _moved(found, self.shift) if self._is_near(found[0]) else found[0], text)

    def _is_near(self, time: str) -> bool:
        try:
            return abs(parse_moment(time) - self.values.header.epoch) < _NEAR
        except ValueError:
            return False


def session_name(prefix: str, name: str) -> str:
    """The name of a session for a command or a key. A blank one means nothing, also to the server."""
    return name if not name.strip() or name.lower() in BUILT_IN else prefix + name


def _moved(time: re.Match[str], nanoseconds: int) -> str:
    """A time that is so much later, with its fraction and its zone. One that is no time stays."""
    try:
        moved = datetime.fromisoformat(time[1]) + timedelta(seconds=nanoseconds // SECOND)
    except (OverflowError, ValueError):
        return time[0]
    return f"{moved:%Y-%m-%dT%H:%M:%S}{time[2]}"
