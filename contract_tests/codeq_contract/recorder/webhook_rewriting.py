"""Rewrites webhook URLs: the server sees the recorder's addresses, the client its own."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

from codeq_contract.recordings.format import WEBHOOK_ORIGIN

#: The recorder receives callbacks below this path.
HOOKS = "/codeq-recorder"

#: The origin of webhooks whose callbacks the recorder cannot see. No host has this name, so a replay calls none.
NOWHERE = "http://hooks.invalid"

#: Text without a place to cut that is longer than this (bytes) has no URL that matters.
_LONGEST = 64 * 1024

# Only URLs that every server accepts (C3). Others must reach the server unchanged.
_URL = r"https?://[A-Za-z0-9.\-]+(?::\d{1,5})?(?:/(?:[A-Za-z0-9._~/?&=+\-]|%[0-9A-Fa-f]{2})*)?"
_IN_BODY = re.compile(rf'(?P<before>"(?:webhook|callbackUrl)"\s*:\s*")(?P<url>{_URL})(?=")', re.IGNORECASE)


@dataclass(slots=True)
class WebhookRewriter:
    """Numbers the webhooks. `advertised` is the recorder's URL for the server, empty if the server cannot reach it."""

    advertised: str = ""
    _urls: list[str] = field(default_factory=list)

    def request_to_server(self, body: str) -> str:
        """The body of a request with webhooks at the recorder, if the server can reach it."""
        if not self.advertised:
            return body
        return _IN_BODY.sub(lambda found: found["before"] + self.advertised + self._path(found["url"]), body)

    def request_on_tape(self, body: str) -> str:
        """The body of a request as it is recorded."""
        return _IN_BODY.sub(lambda found: found["before"] + self._origin + self._recorded_path(found["url"]), body)

    def reply_to_client(self, text: str) -> str:
        """A reply with the client's webhooks."""
        if self.advertised:
            for url in self._urls:
                text = text.replace(f'"{self.advertised}{self._path(url)}"', _as_go_writes(url))
        return text

    def reply_on_tape(self, text: str) -> str:
        """A reply as it is recorded."""
        for url in self._urls:
            shown = f'"{self.advertised}{self._path(url)}"' if self.advertised else _as_go_writes(url)
            text = text.replace(shown, f'"{self._origin}{self._recorded_path(url)}"')
        return text

    def target(self, path: str) -> tuple[str, str] | None:
        """The recorded path and the client's URL of a callback to `path`. None if `path` belongs to the server."""
        for url in self._urls:
            if path == self._path(url):
                return self._recorded_path(url), url
        return None

    @property
    def _origin(self) -> str:
        return WEBHOOK_ORIGIN if self.advertised else NOWHERE

    def _recorded_path(self, url: str) -> str:
        """The path of a webhook in the recording. A new URL gets the next number."""
        if url not in self._urls:
            self._urls.append(url)
        return f"/hook-{self._urls.index(url) + 1}"

    def _path(self, url: str) -> str:
        return HOOKS + self._recorded_path(url)


def _as_go_writes(url: str) -> str:
    """The URL as JSON in a reply of the server (T1)."""
    return json.dumps(url).replace("&", "\\u0026")


async def pieces(parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces that can be rewritten by themselves: no URL and no name before it is in two of them."""
    rest = b""
    async for part in parts:
        rest += part
        # None of these is part of what is rewritten.
        cut = 1 + max(rest.rfind(separator) for separator in (b",", b"{", b"}", b"]"))
        cut = max(cut, len(rest) - _LONGEST)
        if cut > 0:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest
