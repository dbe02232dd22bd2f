"""A connection of the quick server: uvicorn's HTTP on httptools, which writes each reply at once."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import FlowControl

from codeq_fake.wire.gohttp import BadHead

from . import late_tasks
from .http_heads import HeadReader, NotOrdinary, adopt, is_ordinary
from .reply_writer import ReplyWriter, Turn
from .uvicorn import Limits, StateOf
from .uvicorn_refusals import Admission, RefusableConnection
from .uvicorn_replies import Cycle

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: How many bytes are parsed at once: while a request waits for the one before it, nothing more is parsed.
_PART, _PART_OF_BODY = 4096, 16_384
#: How many bytes may wait to be parsed before no more is read.
_UNPARSED = 65_536
#: The first and the longest pause before a client that sends no more is checked again (s).
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 1.0


class Connection(RefusableConnection):
    """One connection of a client.

    What uvicorn leaves open is bounded here: the size of a head, the time for a head or a body, what is read from a
    client that does not read its replies, and the number of connections. A client that sends no more (`shutdown`) gets
    its replies, as from Go's server.
    """

    def __init__(self, *args: Any, turn: Turn, state_of: StateOf, admission: Admission, **options: Any) -> None:
        super().__init__(*args, admission=admission, **options)
        self._turn = turn
        self._state_of = state_of
        #: What was received and is not parsed yet.
        self._unparsed = memoryview(b"")
        #: Whether the last request is not complete. `_overhead` is how many bytes of it are not part of its body.
        self._is_partial = False
        self._overhead = 0
        #: Whether what was parsed last has a part of a body.
        self._has_body = False
        self._sends_no_more = False
        #: Whether what it sends is no longer HTTP.
        self._sends_nonsense = False
        #: Whether the next byte begins a request.
        self._is_between = True
        self._heads = HeadReader()
        #: What was awaited of the client at the last `tick`, and for how many ticks it has made no progress.
        self._awaited: object = None
        self._idle_ticks = 0
        #: The request whose body the client was sending at the last `tick`, for how many ticks, and how many bytes of
        #: it have come.
        self._body_of: object = None
        self._body_ticks = self._received = 0

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio's type is wider
        """Begin to serve the client."""
        self._writer = ReplyWriter(transport, self._turn, self.loop)
        writer: Any = self._writer
        self.app_state = self._state_of(writer)
        super().connection_made(writer)
        self.flow = _FlowControl(writer, self)
        if self._admission.is_over:
            transport.abort()
        elif len(self.connections) > self._admission.limits.connections:
            self._turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the running request that its client is gone, also if a later request has been parsed already.

        Uvicorn tells the latest one only. Nothing that refers to this connection stays here: a circle would keep it and
        its last request until the garbage collector looks at everything, which is once in millions of requests.
        """
        self._admission.turned_away.discard(self)
        running = self._running
        if running is not None and running is not self.cycle and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)
        self.flow.connection = None  # type: ignore[attr-defined]  # it is a _FlowControl
        self.cycle = self._running = None  # type: ignore[assignment]  # as before the first request
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what the client has sent."""
        self._turn.begin()
        # In parts, if a request has to wait or is not complete, or if this is long. Most requests come as a whole.
        if self._is_partial or self.pipeline or self._unparsed or self._refusal or len(data) > _PART:
            if not (self._refusal or self._sends_nonsense):
                self._unparsed = memoryview(bytes(self._unparsed) + data if self._unparsed else data)
                self._parse()
            return
        parsed = self._translated(data)
        if parsed is None:
            return
        super().data_received(parsed)
        cycle = self.latest
        if cycle is None or cycle.more_body or "method" not in self.scope:
            self._is_partial, self._overhead, self._received = True, len(data), 0

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None
        """Return whether the connection stays open: the client sends no more, but may wait for replies."""
        running = self._running
        # It may wait only with a whole request whose reply has not begun: the first byte of that shows if it has gone.
        if running is None or running.response_complete or running.response_started or self.cycle.more_body:
            return False
        if self.transport.get_extra_info("socket") is None:  # a simulated network, where nothing shows a reset
            return False
        self._sends_no_more = True
        self.loop.call_soon(self._check_for_reset, _FIRST_PAUSE)
        return True

    # What the parser and uvicorn's cycles call.

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or let it wait for the one before it."""
        heads, before = self._heads, self.latest
        head = heads.head
        if head is None and heads.source and not is_ordinary(self.headers):
            raise NotOrdinary  # the parser stops, and uvicorn calls `send_400_response`, which reads the head again
        self._complete_scope()
        self.cycle = self._new_cycle()
        if head is not None:
            adopt(head, self.scope, self.cycle)
        heads.clear()
        if before is None or before.response_complete:
            self._answer(self.cycle)
        else:
            self.pipeline.appendleft((self.cycle, self.app))

    def _answer(self, cycle: RequestResponseCycle) -> None:
        """Let a request be answered in the next turn of the loop."""
        self._running = cycle
        self.loop.call_soon(self._begin, cycle)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Answer a request, as far as it need not wait."""
        task = late_tasks.begin(cycle.run_asgi(self.app), self.loop)
        if task is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _complete_scope(self) -> None:
        """Add to the scope what the head of the request says."""
        scope: Any = self.scope
        scope["method"] = self.parser.get_method().decode()
        if self._heads.source:  # `_heads` has seen the first line: it is an ordinary one, or that of a stand-in
            path, _, query = self.url.partition(b"?")
            scope["path"] = path.decode()
        else:  # the request came in one piece with the one before it
            target = httptools.parse_url(self.url)
            path, query = target.path, target.query or b""
            scope["path"] = unquote(path.decode())
            scope["http_version"] = self.parser.get_http_version()
        scope["raw_path"], scope["query_string"] = path, query

    def _new_cycle(self) -> Cycle:
        """The cycle that answers the request whose head has been read."""
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.scope["http_version"] != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._answer(self.pipeline.pop()[0])
        if self._is_partial or self._unparsed or self._refusal or self._sends_no_more:
            self._go_on()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_between = False
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A part of a body, also of a request that has been answered."""
        self._has_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._is_between = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text; Go's server says only this
        """Read a head as Go does that the parser does not take, or refuse what is not HTTP."""
        latest = self.latest
        if self._heads.source and self._heads.head is None:
            self._is_between = True
            self.parser = _new_parser(self)
            if (parsed := self._translated(self._heads.take_back())) is not None:
                super().data_received(parsed)
        elif latest is None or self._is_in_a_head() or not latest.more_body or latest.response_complete:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            self._end_body(latest)

    # What the server calls.

    def tick(self) -> None:
        """Refuse a client that has made no progress for too long, or close its connection. Called each second.

        For a head all of its time counts, for a body the time since its last byte, and its rate: it may be large. No
        timer for each request tells this, since to set one costs more than a tick.
        """
        # An object that is another one as soon as the client makes progress, None if we are the one to act. It is the
        # connection before a request begins, the scope in a head, `_unparsed` in a body (it is empty, and a new object
        # after each part), and the latest request after its reply.
        awaited: object = None
        latest, limits = self.latest, self._admission.limits
        limit = limits.head_seconds
        if self.pipeline or self._unparsed:
            pass  # the client waits for us
        elif latest is None or self._is_in_a_head():
            awaited = self.scope if self._is_partial else self
        elif latest.more_body and not latest.response_complete and not self.flow.read_paused:
            awaited = self._unparsed
            if self._is_too_slow(latest, limits):
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"a body has at least {limits.body_rate:,} bytes a second")
        elif latest.response_complete:
            awaited, limit = latest, limits.idle_seconds
        if self._refusal or awaited is None or awaited is not self._awaited:
            self._awaited, self._idle_ticks = awaited, 0
            return
        self._idle_ticks += 1
        # Who has sent a part of a request is told why. An idle connection is just closed.
        if self._idle_ticks >= limit and self._is_partial and awaited is not latest:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the request was not complete after {limit} s")
        elif self._idle_ticks >= limit and not self.transport.is_closing():
            self.transport.close()

    def _is_too_slow(self, request: RequestResponseCycle, limits: Limits) -> bool:
        """Whether too little of a body has come so far. Counts the seconds of a body: to be called once in each."""
        if self._body_of is not request:
            self._body_of, self._body_ticks = request, 0
        self._body_ticks += 1
        return self._received < (self._body_ticks - limits.head_seconds) * limits.body_rate

    # Parsing in parts.

    def _translated(self, data: bytes) -> bytes | None:
        """What the parser gets of what was received; None if it gets nothing yet, or never."""
        heads = self._heads
        if not (self._is_between or heads.source):
            return None if self._sends_nonsense else data  # of a body
        try:
            parsed = heads.take(data)
        except BadHead as bad:
            self._refuse_with(bad.status, bad.text)
            return None
        if parsed is None:
            self._is_partial, self._overhead = True, len(heads.source)
        return parsed

    def _end_body(self, request: RequestResponseCycle) -> None:
        """The body goes on with what is not HTTP. As on Go's server, the request gets what came before it."""
        self._unparsed, self._sends_nonsense = memoryview(b""), True
        request.keep_alive = request.more_body = False
        request.message_event.set()

    @property
    def is_full(self) -> bool:
        """Whether no more is read: too much waits for the request that is being answered."""
        return len(self._unparsed) > _UNPARSED

    def _parse(self) -> None:
        """Parse what was received, until a request has to wait for the one before it."""
        while self._unparsed and not (self.pipeline or self._refusal or self.transport.is_closing()):
            cycle = self.latest
            size = _PART_OF_BODY if cycle is not None and cycle.more_body else _PART
            part, self._unparsed = self._unparsed[:size], self._unparsed[size:]
            self._parse_part(part, cycle)
        if self.is_full:
            self.flow.pause_reading()

    def _parse_part(self, part: memoryview, cycle: RequestResponseCycle | None) -> None:
        """Parse what has arrived for one request, unless its head is too long."""
        limit = self._admission.limits.head_bytes
        if self._overhead and self._overhead + _size_of_head(part) > limit:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {limit:,} bytes here")
            return
        self._has_body = False
        parsed = self._translated(bytes(part)) if self._is_between or self._heads.source else part
        if parsed is None:
            return
        super().data_received(parsed)  # type: ignore[arg-type]  # the parser takes any buffer
        if self.transport.is_closing() or self._refusal:
            return
        latest = self.latest
        if latest is None or self._is_in_a_head():
            self._is_partial, self._overhead = True, self._overhead + len(part)
            return
        self._is_partial = latest.more_body and not self._is_between
        self._received = self._received + len(part) if latest is cycle else 0
        # In a body of chunks, sizes, extensions and trailers are overhead, which the parser or the scope keeps.
        grows = latest is not cycle or not latest.more_body or self._has_body
        self._overhead = 0 if grows else self._overhead + len(part)

    def _drop_unparsed(self) -> None:
        self._heads.clear()
        self._unparsed = memoryview(b"")

    def _is_in_a_head(self) -> bool:
        scope: Any = self.scope  # uvicorn adds the method once the head is complete
        return self._heads.holds or scope is None or "method" not in scope

    # Ends.

    def _go_on(self) -> None:
        """A request was answered. Continue with what was received meanwhile, or end the connection."""
        self._parse()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._is_answering():
            return
        if self._refusal:
            self._send_refusal()
        elif self._sends_no_more:
            self.transport.close()

    def _check_for_reset(self, again: float) -> None:
        """End the connection if a client that sends no more has closed it. Otherwise check again later.

        The end of a stream is the same for a client that closed and one that waits. So send the first byte of the reply
        that it waits for: it is an H, whatever the reply is. A client that has gone answers with a reset.
        """
        running = self._running
        if self.transport.is_closing() or running is None or running.response_complete:
            return
        if not running.response_started:
            self._writer.begin()
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
            return
        self.loop.call_later(again, self._check_for_reset, min(2 * again, _LAST_PAUSE))


def _new_parser(connection: Connection) -> httptools.HttpRequestParser:
    """A parser as uvicorn makes it."""
    parser = httptools.HttpRequestParser(connection)
    if hasattr(parser, "set_dangerous_leniencies"):
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class _FlowControl(FlowControl):
    """Uvicorn's, but a connection that is full stays paused. Uvicorn reads on whenever a request looks at its body."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        super().__init__(transport)
        #: None when it is over.
        self.connection: Connection | None = connection

    def resume_reading(self) -> None:
        if self.read_paused and not (self.connection and self.connection.is_full):
            super().resume_reading()


def _size_of_head(part: memoryview) -> int:
    """How many bytes of this part belong to a head that has begun before it."""
    end = bytes(part).find(b"\r\n\r\n")
    return len(part) if end < 0 else end
