"""Webhooks on their way through the recorder: its own addresses instead of the client's, and back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from codeq_contract.driver.hooks import ORIGIN

#: Below this path the recorder takes callbacks.
HOOKS = "/codeq-recorder"

#: Where a recording has webhooks whose callbacks it cannot have seen: nobody is there, wherever it is replayed.
NOWHERE = "http://hooks.invalid"

# Nothing that a server might refuse (C3): that has to reach it as it is.
_URL = r"https?://[A-Za-z0-9.\-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~/?&=+\-]*)?"
_IN_BODY = re.compile(rf'(?P<before>"(?:webhook|callbackUrl)"\s*:\s*")(?P<url>{_URL})(?=")', re.IGNORECASE)


@dataclass(slots=True)
class Relay:
    """Knows each webhook by a number. `advertised` is where the server reaches the recorder; empty if it does not."""

    advertised: str = ""
    _urls: list[str] = field(default_factory=list)

    def request_to_server(self, body: str) -> str:
        """The body of a request, with webhooks that lead here, if the server can get here."""
        if not self.advertised:
            return body
        return _IN_BODY.sub(lambda found: found["before"] + self.advertised + self._path(found["url"]), body)

    def request_on_tape(self, body: str) -> str:
        """The body of a request as a recording has it."""
        return _IN_BODY.sub(lambda found: found["before"] + self._origin + self._place(found["url"]), body)

    def reply_to_client(self, text: str) -> str:
        """A reply with the client's own webhooks."""
        if self.advertised:
            for url in self._urls:
                text = text.replace(f'"{self.advertised}{self._path(url)}"', _as_go_writes(url))
        return text

    def reply_on_tape(self, text: str) -> str:
        """A reply as a recording has it."""
        for url in self._urls:
            told = f'"{self.advertised}{self._path(url)}"' if self.advertised else _as_go_writes(url)
            text = text.replace(told, f'"{self._origin}{self._place(url)}"')
        return text

    def target(self, path: str) -> tuple[str, str] | None:
        """The place on tape and the client's URL of a callback that came to `path`; None if it is none of ours."""
        for url in self._urls:
            if path == self._path(url):
                return self._place(url), url
        return None

    @property
    def _origin(self) -> str:
        return ORIGIN if self.advertised else NOWHERE

    def _place(self, url: str) -> str:
        if url not in self._urls:
            self._urls.append(url)
        return f"/hook-{self._urls.index(url) + 1}"

    def _path(self, url: str) -> str:
        return HOOKS + self._place(url)


def _as_go_writes(url: str) -> str:
    """T1: as a server has it in a reply."""
    return json.dumps(url).replace("&", "\\u0026")
