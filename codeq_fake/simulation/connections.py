"""A simulated TCP connection: two ends, which programs use as transports of asyncio.

What is written is under way for a drawn time and arrives in order, also after its sender has died. As on a real
machine, a process that is slow to read slows down its peer, an end that is closed with unread data resets the
connection, and so does one that gets data after it was closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from enum import Enum, auto
from errno import ECONNRESET, ETIMEDOUT
from random import Random
from typing import Any, Protocol

from .incarnation import CURRENT, End, Incarnation

#: How many bytes both systems hold for a connection before the sender's program has to wait.
_SYSTEM_BUFFERS = 256 * 1024
#: The limits of a transport's own buffer, as asyncio has them.
_HIGH_WATER = 64 * 1024
#: The most that arrives at once.
_LARGEST_SEGMENT = 64 * 1024
_LINGER_OFF = struct.pack("ii", 1, 0)

Address = tuple[str, int]


class Mark(Enum):
    """What arrives besides bytes."""

    FIN = auto()
    """The peer sends no more."""
    RST = auto()
    """The connection is broken."""


Segment = bytes | Mark


class Wires(Protocol):
    """What carries segments."""

    #: Descriptors for programs that ask the system whether there is something to read.
    idle_descriptor: int
    readable_descriptor: int

    def carry(self, sender: ConnectionEnd, segment: Segment) -> None:
        """Let a segment arrive at the other end after a while."""

    def forget(self, end: ConnectionEnd) -> None:
        """Called by an end that takes part no more."""

    def has_power(self, host: str) -> bool:
        """Whether a host is on."""


class ConnectionEnd(asyncio.Transport):
    """One end of a connection, on one host."""

    def __init__(self, wires: Wires, host: str, addresses: tuple[Address, Address], random: Random) -> None:
        super().__init__()
        #: The other end.
        self.peer: ConnectionEnd = self
        self.host = host
        self.owner: Incarnation | None = None
        #: Draws how long segments are under way, and when the last one will arrive.
        self.random = random
        self.last_arrival = 0.0
        #: When its program has sent something last.
        self.sent_at = 0.0
        self.wires = wires
        self._loop = asyncio.get_running_loop()
        self._context = Context()
        self._protocol: Any = None
        self._socket = SimulatedSocket(self, *addresses)
        self._extra: dict[str, Any] = {"socket": self._socket, "sockname": addresses[0], "peername": addresses[1]}
        self._inbox: deque[Segment] = deque()
        self._is_reading = True
        self._is_closing = False
        #: Whether it takes part no more. A silent one, whose host has lost its power, does not even answer.
        self._is_over = self._is_silent = False
        self._has_sent_fin = False
        #: Whether the peer sends no more, or the connection is broken.
        self.has_ended = self.is_reset = False
        #: Bytes that the peer's program has not read.
        self._unread = 0
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._writing_paused = False
        #: Whether to reset the connection when it is closed.
        self.resets_at_close = False

    def belongs_to(self, owner: Incarnation | None, context: Context) -> None:
        """Set for which process, and in which context, the protocol is called."""
        self.owner, self._context = owner, context

    def belongs_to_caller(self) -> None:
        """Set that it belongs to the process that runs."""
        self.belongs_to(CURRENT.get(), copy_context())

    # What arrives.

    def arrive(self, segment: Segment) -> None:
        """Called by the network."""
        if self._is_silent:
            if self.wires.has_power(self.host):  # the system runs again, and does not know of the connection
                self._answer_with_reset(segment)
            else:
                self.wires.carry(self.peer, segment)  # waits until it does
        elif self._is_over or self._is_closing:
            self._answer_with_reset(segment)
        else:
            if segment is Mark.RST:
                self.is_reset = True
            self._inbox.append(segment)
            if self._protocol is not None:
                self._call(self._read)

    def time_out(self) -> None:
        """Called by the network if nothing has arrived at the other end for long."""
        if self._protocol is not None and not self._is_over:
            self._call(self._lose, TimeoutError(ETIMEDOUT, "Connection timed out"))

    def has_unread(self) -> bool:
        """Whether reading would not wait."""
        return bool(self._inbox) or self.has_ended or self.is_reset

    def _answer_with_reset(self, segment: Segment) -> None:
        if segment is not Mark.RST:
            self.wires.carry(self, Mark.RST)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """Call the protocol, as soon as its process runs."""
        owner = self.owner
        if owner is None:
            self._context.run(function, *args)
        elif owner.runs:
            owner.run(self._context, function, *args)
        else:
            self._loop.call_soon(function, *args, context=self._context)  # the loop lets its owner keep it

    def _read(self) -> None:
        while self._inbox and self._is_reading and not (self._is_over or self._is_closing):
            segment = self._inbox.popleft()
            try:
                self._deliver(segment)
            except Exception as error:  # noqa: BLE001 - as asyncio's transports
                text = "Fatal error: protocol.data_received() call failed."
                self._loop.call_exception_handler({"message": text, "exception": error, "transport": self})
                self._lose(error)

    def _deliver(self, segment: Segment) -> None:
        """Give a segment to the protocol."""
        if isinstance(segment, bytes):
            self.peer.was_read(len(segment))
            self._protocol.data_received(segment)
        elif segment is Mark.FIN:
            self.has_ended = True
            if not self._protocol.eof_received():
                self.close()
        else:
            self._lose(ConnectionResetError(ECONNRESET, "Connection reset by peer"))

    def was_read(self, size: int) -> None:
        """The peer's program has read so many bytes."""
        self._unread -= size
        if self._writing_paused and self.get_write_buffer_size() <= self._low and not self._is_over:
            self._writing_paused = False
            self._call(self._protocol.resume_writing)

    # What asyncio's transports offer.

    def start(self, protocol: Any) -> None:  # noqa: ANN401 - any protocol
        """Begin to call a protocol, for the process that runs."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self._inbox:
            self._loop.call_soon(self._read, context=self._context)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        if self._is_closing or self._is_over or not data:
            return
        if self._has_sent_fin:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.is_reset:
            self._loop.call_soon(self._lose, ConnectionResetError(ECONNRESET, "Connection reset by peer"))
            return
        whole = bytes(data)
        self.sent_at = self._loop.time()
        self._unread += len(whole)
        for start in range(0, len(whole), _LARGEST_SEGMENT):
            self.wires.carry(self, whole[start : start + _LARGEST_SEGMENT])
        if not self._writing_paused and self.get_write_buffer_size() > self._high:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several parts."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Say that nothing more will be sent."""
        if not self._has_sent_fin:
            self._has_sent_fin = True
            self.wires.carry(self, Mark.FIN)

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the connection after what was written."""
        if not (self._is_closing or self._is_over):
            self._is_closing = True
            self._end_on_the_wire()
            self._loop.call_soon(self._lose, None, context=self._context)

    def abort(self) -> None:
        """As `close`: what was written is under way already."""
        self.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._is_closing or self._is_over

    def pause_reading(self) -> None:
        """Leave what arrives to the system."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Read on."""
        if not self._is_reading:
            self._is_reading = True
            if self._inbox:
                self._loop.call_soon(self._read, context=self._context)

    def is_reading(self) -> bool:
        """Whether it reads."""
        return self._is_reading and not self.is_closing()

    def set_protocol(self, protocol: Any) -> None:  # noqa: ANN401 - as above
        """Call another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:  # noqa: ANN401 - as above
        """The protocol."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """How many bytes wait in this program."""
        return max(0, self._unread - _SYSTEM_BUFFERS)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """When the protocol is to pause and to go on."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is to pause and to go on."""
        self._high = high if high is not None else (_HIGH_WATER if low is None else 4 * low)
        self._low = low if low is not None else self._high // 4

    # Ends.

    def die(self, end: End) -> None:
        """The process has ended: its program hears nothing more."""
        if self._is_over:
            return
        if end is End.POWER_CUT:
            self._is_silent = True
        elif not self._is_closing:
            self.resets_at_close = self.resets_at_close or end is End.KILL
            self._end_on_the_wire()
        self._is_over = True
        self.wires.forget(self)

    def _end_on_the_wire(self) -> None:
        """Tell the peer that this end is closed: by a reset if that is wanted or if data is unread, else by a FIN."""
        if self.resets_at_close or any(isinstance(segment, bytes) for segment in self._inbox):
            self.wires.carry(self, Mark.RST)
        elif not self._has_sent_fin:
            self._has_sent_fin = True
            self.wires.carry(self, Mark.FIN)

    def _lose(self, error: Exception | None) -> None:
        """Tell the protocol that the connection is over."""
        if not self._is_over:
            self._is_over = True
            self.wires.forget(self)
            self._protocol.connection_lost(error)


class SimulatedSocket:
    """What programs ask of the socket of a transport."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, end: ConnectionEnd, here: Address, there: Address) -> None:
        self._end = end
        self._here = here
        self._there = there

    def getsockname(self) -> Address:
        """The address of this end."""
        return self._here

    def getpeername(self) -> Address:
        """The address of the other end."""
        return self._there

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Only lingering has an effect."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._end.resets_at_close = value == _LINGER_OFF

    def getsockopt(self, level: int, option: int) -> int:
        """The error of a connection that was reset, 0 for everything else."""
        is_error = (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        return ECONNRESET if is_error and self._end.is_reset else 0

    def fileno(self) -> int:
        """A descriptor that is readable if this socket is."""
        wires = self._end.wires
        return wires.readable_descriptor if self._end.has_unread() else wires.idle_descriptor
