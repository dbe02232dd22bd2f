"""The simulated network: names, listening ports, and how segments travel between hosts."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from errno import EADDRINUSE, ECONNREFUSED, ETIMEDOUT
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

from .connections import ConnectionEnd, Mark, Segment
from .incarnation import CURRENT, End, Incarnation

#: How long a segment is under way (s): at least, at most.
LATENCY = (0.0005, 0.02)
#: Bytes a second.
_BANDWIDTH = 10_000_000
#: After how long a system tries again to connect to a host that does not answer (s), as Linux does.
_CONNECTION_TRIES = (1, 2, 4, 8, 16, 32, 64)
#: After how long a system gives up a connection whose segments do not arrive (s), as Linux does.
GIVES_UP = 924.6
#: The time between two pieces of data that trickle (s).
_TRICKLE_SECONDS = 1
_FIRST_PORT = 40_000
_THIS_HOST = "127.0.0.1"
#: The host of the test itself.
TEST_HOST = "test"
#: The context of what belongs to no process.
_NO_PROCESS = Context()


@dataclass(slots=True)
class Link:
    """The way from one host to another."""

    is_cut: bool = False
    #: How much longer each segment takes (s).
    delay: float = 0.0
    #: How many bytes of each connection arrive in `_TRICKLE_SECONDS`, if they only trickle.
    trickle: int = 0
    #: Set if the next data is to be lost and its connection reset. Called when that happens, once.
    on_loss_of_next: Callable[[], object] | None = None
    #: What is under way while data trickles, marks too, in the order in which it was sent: with its timer of arrival.
    trickling: list[tuple[ConnectionEnd, Segment, asyncio.TimerHandle]] = field(default_factory=list)
    #: What waits for the end of a cut, or for the power of the receiver.
    waiting: list[tuple[ConnectionEnd, Segment]] = field(default_factory=list)


class Network:
    """Hosts by name and address, their listeners, and the links between them.

    Each connection has its own draws: what happens on one does not change how long another takes.
    """

    def __init__(self, random: Callable[[str], Random]) -> None:
        #: Whether nothing is sent any more, as at the very end of a run.
        self.is_sealed = False
        self._random = random
        self._loop: asyncio.AbstractEventLoop
        self._addresses: dict[str, str] = {}
        self._without_power: set[str] = set()
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: dict[tuple[str, int], Server] = {}
        self._ends: dict[ConnectionEnd, None] = {}
        #: Address of a client's end -> the end, also if it is closed.
        self._clients: dict[tuple[str, int], ConnectionEnd] = {}
        self._of_sockets: WeakKeyDictionary[Any, ConnectionEnd] = WeakKeyDictionary()
        self._connections: dict[str, int] = {}
        self._ports = _FIRST_PORT
        self.idle_descriptor, self._other_idle = os.pipe()
        self.readable_descriptor, self._other_readable = os.pipe()
        os.write(self._other_readable, b"x")  # nothing reads it, so the other end stays readable
        self.add_host(TEST_HOST)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the time of this loop."""
        self._loop = loop

    def close(self) -> None:
        """End all connections, and close the descriptors."""
        for end in list(self._ends):
            end.die(End.POWER_CUT)
        for descriptor in (self.idle_descriptor, self._other_idle, self.readable_descriptor, self._other_readable):
            os.close(descriptor)

    # Hosts.

    def add_host(self, name: str) -> None:
        """Give a host an address."""
        self._addresses[name] = f"10.0.0.{len(self._addresses) + 1}"

    def has_power(self, host: str) -> bool:
        """Whether a host is on."""
        return host not in self._without_power

    def end_process(self, incarnation: Incarnation, end: End) -> None:
        """Close what a process had open, in the way in which it ended."""
        for address, server in list(self._listeners.items()):
            if server.owner is incarnation:
                del self._listeners[address]
        for connection in list(self._ends):
            if connection.owner is incarnation:
                connection.die(end)
        if end is End.POWER_CUT:
            self._without_power.add(incarnation.host.name)

    def power_on(self, host: str) -> None:
        """The host's system runs again. What others have sent meanwhile is sent again."""
        if host in self._without_power:
            self._without_power.discard(host)
            for (_, receiver), link in self._links.items():
                if receiver == host and not link.is_cut:
                    self._send_again(link)

    async def resolve(self, host: str | bytes | None) -> str:
        """The address of a host. Raises socket.gaierror."""
        name = host.decode() if isinstance(host, bytes) else host
        if name in {None, "", "localhost", "0.0.0.0"}:  # noqa: S104 - this is how a program names itself
            return _THIS_HOST
        if name in self._addresses:
            return self._addresses[name]
        if name == _THIS_HOST or name in self._addresses.values():
            return str(name)
        raise socket.gaierror(socket.EAI_NONAME, f"no host of this world is called {name!r}")

    def host_at(self, address: str) -> str:
        """The name of the host with an address."""
        if address == _THIS_HOST:
            return _here()
        return next(name for name, known in self._addresses.items() if known == address)

    def sent_at(self, client: tuple[str, int]) -> float:
        """When the client with an address last sent something (s)."""
        return self._clients[client].sent_at

    # Links.

    def link(self, sender: str, receiver: str) -> Link:
        """The way from one host to another."""
        link = self._links.get((sender, receiver))
        if link is None:
            link = self._links[sender, receiver] = Link()
        return link

    def heal(self, sender: str, receiver: str) -> None:
        """End a cut. What waits is sent."""
        link = self.link(sender, receiver)
        link.is_cut = False
        self._send_again(link)

    def _send_again(self, link: Link) -> None:
        waiting, link.waiting = link.waiting, []
        for end, segment in waiting:
            self.carry(end, segment)

    def reset_between(self, one: str, other: str) -> None:
        """Break all connections between two hosts."""
        for end in list(self._ends):
            if (end.host, end.peer.host) == (one, other):
                self._break(end)

    def carry(self, sender: ConnectionEnd, segment: Segment) -> None:
        """Send a segment to the other end. It is lost, waits, trickles, or arrives after a drawn time.

        Of these, the first whose condition holds is done. The segments of a connection always arrive in order. A mark
        carries no data, so it is neither lost nor does it trickle.
        """
        if self.is_sealed:
            return
        link = self.link(sender.host, sender.peer.host)
        if link.on_loss_of_next and isinstance(segment, bytes):
            note_loss, link.on_loss_of_next = link.on_loss_of_next, None
            note_loss()
            self._break(sender)
        elif link.is_cut or link.waiting or not self.has_power(sender.peer.host):
            link.waiting.append((sender, segment))
            self._loop.call_later(GIVES_UP, self._give_up, link, sender, segment, context=_NO_PROCESS)
        elif link.trickle and isinstance(segment, bytes):
            sender.last_arrival = max(self._loop.time() + link.delay, sender.last_arrival)
            for start in range(0, len(segment), link.trickle):
                sender.last_arrival += _TRICKLE_SECONDS
                self._arrive_later(link, sender, segment[start : start + link.trickle])
        else:
            size = len(segment) if isinstance(segment, bytes) else 0
            under_way = sender.random.uniform(*LATENCY) + link.delay
            sender.last_arrival = max(self._loop.time() + under_way, sender.last_arrival) + size / _BANDWIDTH
            self._arrive_later(link, sender, segment)

    def _arrive_later(self, link: Link, sender: ConnectionEnd, segment: Segment) -> None:
        """Let a segment arrive at `sender.last_arrival`. While data trickles, note it for the end of that."""
        timer = self._loop.call_at(sender.last_arrival, sender.peer.arrive, segment, context=_NO_PROCESS)
        if link.trickle:
            link.trickling.append((sender, segment, timer))

    def trickle(self, sender: str, receiver: str, rate: int) -> None:
        """Let each connection carry so many bytes a second. 0 ends it, also for what is under way."""
        link, now = self.link(sender, receiver), self._loop.time()
        link.trickle = rate
        if rate:
            return
        left = [(end, segment, timer) for end, segment, timer in link.trickling if timer.when() > now]
        link.trickling = []
        for end, _, timer in left:
            timer.cancel()
            end.last_arrival = now
        for end, segment, _ in left:
            self.carry(end, segment)

    def _give_up(self, link: Link, sender: ConnectionEnd, segment: Segment) -> None:
        """Called `GIVES_UP` seconds after a segment began to wait: if it still waits, end its connection."""
        if any(end is sender and other is segment for end, other in link.waiting):
            link.waiting = [waiting for waiting in link.waiting if waiting[0] is not sender]
            sender.time_out()

    def forget(self, end: ConnectionEnd) -> None:
        """An end is closed."""
        self._ends.pop(end, None)

    def _break(self, end: ConnectionEnd) -> None:
        """Reset a connection on both sides, after what is under way."""
        self.carry(end, Mark.RST)
        self.carry(end.peer, Mark.RST)

    # Connections.

    def listen(self, protocol_factory: Callable[[], Any], port: int) -> Server:
        """Listen on a port of the host that runs; 0 picks one. Raises OSError if it is taken."""
        host = _here()
        if not port:
            self._ports += 1
            port = self._ports
        if (host, port) in self._listeners:
            raise OSError(EADDRINUSE, f"port {port} of {host} is in use")
        server = Server(protocol_factory, (self._addresses[host], port), self._close_listener)
        self._listeners[host, port] = server
        return server

    def listens(self, host: str, port: int) -> bool:
        """Whether a host listens on a port."""
        return (host, port) in self._listeners

    def _close_listener(self, server: Server) -> None:
        self._listeners = {address: other for address, other in self._listeners.items() if other is not server}

    async def connect(self, address: str, port: int) -> ConnectionEnd:
        """Connect from the process that runs. Raises ConnectionRefusedError and TimeoutError (OSErrors)."""
        here, there = _here(), self.host_at(address)
        number = self._connections[here] = self._connections.get(here, 0) + 1
        name = f"connection {number} of {here}"
        random = self._random(name)
        await self._reach(here, there)
        await asyncio.sleep(random.uniform(*LATENCY) + self.link(here, there).delay)
        server = None if self.is_sealed else self._listeners.get((there, port))
        way_back = random.uniform(*LATENCY) + self.link(there, here).delay
        if server is None:
            await asyncio.sleep(way_back)
            raise ConnectionRefusedError(ECONNREFUSED, f"{there} listens not on port {port}")
        end = self._join(here, server, there, name)
        try:
            await asyncio.sleep(way_back)
        except asyncio.CancelledError:  # the server has accepted the connection already
            end.die(End.EXIT)
            raise
        return end

    async def _reach(self, here: str, there: str) -> None:
        """Wait until a host answers. Raises TimeoutError after as long as Linux tries."""
        for seconds in _CONNECTION_TRIES:
            is_cut = self.link(here, there).is_cut or self.link(there, here).is_cut
            if not is_cut and self.has_power(there):
                return
            await asyncio.sleep(seconds)
        raise TimeoutError(ETIMEDOUT, f"{there} does not answer")

    def _join(self, here: str, server: Server, there: str, name: str) -> ConnectionEnd:
        """Make both ends of a new connection, and return that of the process that runs."""
        self._ports += 1
        ours, theirs = (self._addresses[here], self._ports), server.address
        end = ConnectionEnd(self, here, (ours, theirs), self._random(f"{name}, from {here}"))
        other = ConnectionEnd(self, there, (theirs, ours), self._random(f"{name}, from {there}"))
        end.peer, other.peer = other, end
        end.belongs_to_caller()
        other.belongs_to(server.owner, server.context)
        self._ends[end] = self._ends[other] = None
        self._clients[ours] = end
        self._loop.call_soon(server.accept, other, context=server.context)
        return end

    def give_to(self, stand_in: Any, end: ConnectionEnd) -> None:  # noqa: ANN401 - any socket
        """Let a socket, which is never connected, stand for a connection."""
        self._of_sockets[stand_in] = end

    def take_from(self, stand_in: Any) -> ConnectionEnd:  # noqa: ANN401 - as above
        """Take the connection for which a socket stands, and close the socket."""
        end = self._of_sockets.pop(stand_in)
        stand_in.close()
        return end


class Server(asyncio.AbstractServer):
    """A listening port."""

    def __init__(
        self, protocol_factory: Callable[[], Any], address: tuple[str, int], close: Callable[[Server], None]
    ) -> None:
        self.address = address
        self.owner = CURRENT.get()
        #: In which its connections are accepted.
        self.context = copy_context()
        self._protocol_factory = protocol_factory
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()

    @property
    def sockets(self) -> tuple[_ListeningSocket, ...]:
        """One that tells its address, until it is closed."""
        return () if self._closed.done() else (_ListeningSocket(self.address),)

    def accept(self, end: ConnectionEnd) -> None:
        """Begin to serve a connection."""
        end.start(self._protocol_factory())

    def close(self) -> None:
        """Listen no more."""
        self._close(self)
        if not self._closed.done():
            self._closed.set_result(None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Its event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it listens."""
        return not self._closed.done()

    async def start_serving(self) -> None:
        """It serves already."""

    async def serve_forever(self) -> None:
        """Serve until this is cancelled."""
        try:
            await self._loop.create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        """Wait until it listens no more."""
        await asyncio.shield(self._closed)


class _ListeningSocket:
    """What programs ask of a listening socket."""

    family = socket.AF_INET

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        """Its address."""
        return self._address


def _here() -> str:
    """The name of the host that runs."""
    incarnation = CURRENT.get()
    return incarnation.host.name if incarnation is not None else TEST_HOST
