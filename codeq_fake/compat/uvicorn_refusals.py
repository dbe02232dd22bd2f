"""Connections that can be refused: the client gets the reason, and a moment to read it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .reply_writer import ReplyWriter
from .uvicorn import Limits

#: How long a refused client may take to read the reason (s).
_READING_TIME = 0.5
#: How many connections beyond the limit may be told the reason at the same time. All others are reset at once.
_MOST_TURNED_AWAY = 32


class Admission:
    """What the connections of a server share: their limits, and which of them are turned away."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        #: How many connections were beyond the limit since the last report.
        self.refused = 0
        #: Those of them that are being told the reason. They do not count as connections of the server.
        self.turned_away: set[RefusableConnection] = set()
        #: Whether the server ends: a connection that was accepted just before that is closed.
        self.is_over = False


class RefusableConnection(HttpToolsProtocol):
    """A connection whose client gets an error in place of an answer, in its turn, and then the end."""

    def __init__(self, *args: Any, admission: Admission, **options: Any) -> None:
        super().__init__(*args, **options)
        self._admission = admission
        self._writer: ReplyWriter
        #: The request that is being answered. `cycle` is the last one that was parsed.
        self._running: RequestResponseCycle | None = None
        #: The reply to what cannot be answered otherwise. It ends the connection.
        self._refusal = b""

    @property
    def latest(self) -> RequestResponseCycle | None:
        """The latest request, None before the first."""
        return self.cycle

    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        """Answer with an error once all requests before it are answered, and end the connection."""
        text = f"{status.value} {status.phrase}"
        self._refuse_with(text, f"{text}{why and ': '}{why}")

    def _refuse_with(self, status: str, text: str) -> None:
        """As `_refuse`, with the rest of the status line and the body."""
        if self.transport.is_closing() or self._refusal:
            return
        kind = "Content-Type: text/plain; charset=utf-8" if text else "Content-Length: 0"
        self._refusal = f"HTTP/1.1 {status}\r\n{kind}\r\nConnection: close\r\n\r\n{text}".encode()
        self._drop_unparsed()
        self._drop_partial_request()
        if not self._is_answering():
            self._send_refusal()

    def _drop_partial_request(self) -> None:
        """Stop answering a request whose body will not arrive."""
        latest = self.latest
        if latest is None or not latest.more_body or latest.response_complete:
            return
        if self.pipeline:
            self.pipeline.popleft()
        else:
            self._running = None
            latest.disconnected = True
            latest.message_event.set()

    def _send_refusal(self) -> None:
        """Send the refusal. The connection stays for a moment: to close it would take unread bytes off the client."""
        self.transport.write(self._refusal)
        self._writer.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_READING_TIME, self._close)

    def _turn_away(self) -> None:
        """Refuse a connection that is beyond the limit: with the reason if not too many get one, else by a reset."""
        self.connections.discard(self)  # or it would count itself, and `tick` would look after it
        admission = self._admission
        admission.refused += 1
        if len(admission.turned_away) < _MOST_TURNED_AWAY:
            admission.turned_away.add(self)
            most = admission.limits.connections
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{most:,} connections are open (--max-connections)")
        else:
            self.transport.abort()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _drop_unparsed(self) -> None:
        """Forget what has come and is not parsed."""
        raise NotImplementedError
