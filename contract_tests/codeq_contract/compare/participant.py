"""One of the two servers in one session: fills in its ids, names and tokens, and takes its ids out of its replies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from codeq_contract.driver import Answer, Driver, Received, Reply, Request
from codeq_contract.recordings.format import bytes_of, text_of
from codeq_contract.replay.recorded_values import ids_in

from .steps import HOOKS, NAME, TOKEN, Send, filled, id_in_reply
from .vocabulary import HOOK_ANSWERS

#: What stands for an id that no reply gave.
_NO_ID = "none"
_WEBHOOK = re.compile(rf"-({'|'.join(HOOK_ANSWERS)})-\d+")


@dataclass(slots=True)
class Participant:
    """A server in the session `name`, with the tokens of its callers and the webhook that it reaches.

    If it is reached directly, `is_direct`, requests go out byte for byte.
    """

    driver: Driver
    name: str
    tokens: Mapping[str, str]
    hooks_origin: str
    is_direct: bool
    _ids: dict[str, str] = field(default_factory=dict)
    #: The placeholder of each id, after the first reply that had it.
    _placeholders: dict[str, str] = field(default_factory=dict)
    _paths: set[str] = field(default_factory=set)
    #: How many requests the webhook had before the comparison began.
    _earlier_callbacks: int = field(init=False)

    def __post_init__(self) -> None:
        self._earlier_callbacks = len(self.driver.hooks.requests)

    def send(self, step: Send) -> Reply:
        """Send the request of a step, and note the ids in its reply."""
        request = self._request(step)
        self._prepare_webhooks(request.text)
        reply = self.driver.call(request)
        for index, known in enumerate(ids_in(text_of(reply.body)) if step.method == "POST" else ()):
            placeholder = id_in_reply(step.number, index)
            self._ids[placeholder] = known
            self._placeholders.setdefault(known, placeholder)
        return reply

    def filled(self, text: str, caller: str = "") -> str:
        """A text with the values of this server in the place of placeholders."""
        return filled(text, lambda placeholder: self._value(placeholder, caller))

    def aligned(self, text: str) -> str:
        """A text of this server with placeholders for its ids, the session's name and the webhook's origin."""
        for known, placeholder in self._placeholders.items():
            text = text.replace(known, placeholder)
        return text.replace(self.name, NAME).replace(self.hooks_origin, HOOKS)

    def callbacks(self) -> list[Received]:
        """The requests of this session to the webhook so far."""
        since = self.driver.hooks.requests[self._earlier_callbacks :]
        return [request for request in since if request.path.startswith(f"/{self.name}-")]

    def _request(self, step: Send) -> Request:
        headers = {"Content-Type": "", **{name: self.filled(text, step.caller) for name, text in step.headers}}
        body = None if step.body is None else bytes_of(self.filled(str(step.body)))
        return Request(step.method, self.filled(step.target), None, body, headers, is_raw=self.is_direct)

    def _prepare_webhooks(self, body: str) -> None:
        """Let the paths of the webhook that this request names answer as their names say."""
        for match in _WEBHOOK.finditer(body):
            path = f"/{self.name}{match[0]}"
            if path not in self._paths:
                self._paths.add(path)
                self.driver.hooks.answer(path, *map(Answer, HOOK_ANSWERS[match[1]]))

    def _value(self, placeholder: str, caller: str) -> str:
        known = {NAME: self.name, HOOKS: self.hooks_origin, TOKEN: self.tokens.get(caller, "")}
        return known[placeholder] if placeholder in known else self._ids.get(placeholder, _NO_ID)
