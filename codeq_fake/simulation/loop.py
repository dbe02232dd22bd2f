"""The event loop of a simulated world: virtual time only, a simulated network, and races between hosts.

Within a process, callbacks run first in, first out, as asyncio documents it. Between processes there is no such order:
what is ready in the same turn is shuffled by the seed.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NoReturn, TypeVarTuple

from codeq_fake.clocks.virtual_loop import NothingEverHappensError, VirtualTimeLoop
from codeq_fake.compat.asyncio_handles import NumberedTask, OwnedLoop, Owner

from .escapes import EscapedError
from .incarnation import CURRENT, Incarnation
from .network import Network, Server

Ts = TypeVarTuple("Ts")

#: After so many turns at one instant, time passes: code that spins until something has happened waits in real time.
_MOST_TURNS_AT_ONCE = 2000
#: The longest time that a call on a thread waits for its turn (s).
_LONGEST_TURN = 0.005


class SimulatedLoop(OwnedLoop, VirtualTimeLoop):
    """An event loop without anything outside. `random` draws what is left to chance."""

    owner_variable = CURRENT
    #: The client reads this, and renews leases in the loop instead of on a thread.
    simulates_its_process = True

    def __init__(self, random: Random, network: Network) -> None:
        self._random = random
        self._network = network
        self._instant = -1.0
        self._turns = 0
        #: Errors that no code has handled: the process in which they were raised, and asyncio's description.
        self.lost_errors: list[tuple[Incarnation | None, dict[str, Any]]] = []
        super().__init__()
        network.attach(self)

    @property
    def turn(self) -> tuple[float, int]:
        """Which turn it is: its virtual time, and its number at that time."""
        return self._instant, self._turns

    def looks_outside(self) -> bool:
        """Never: there is no outside."""
        return False

    def begin_turn(self, ready: deque[asyncio.Handle]) -> None:
        """Let hosts race, and let time pass where code spins."""
        if self._now != self._instant:
            self._instant, self._turns = self._now, 0
        self._turns += 1
        if self._turns > _MOST_TURNS_AT_ONCE:
            self._jump()
        if len(ready) > 1:
            self._shuffle(ready)

    def _shuffle(self, ready: deque[asyncio.Handle]) -> None:
        """Change the order between processes, not within one."""
        by_owner: dict[Owner | None, list[asyncio.Handle]] = {}
        for handle in ready:
            by_owner.setdefault(handle.owner, []).append(handle)  # type: ignore[attr-defined]  # all of them are ours
        if len(by_owner) > 1:
            groups = list(by_owner.values())
            self._random.shuffle(groups)
            ready.clear()
            for group in groups:
                ready.extend(group)

    def wait_for(self, timer: float | None) -> None:
        """Move to the next timer."""
        if timer is None:
            raise NothingEverHappensError("every task of the simulated world waits, and nothing will wake one up")
        self._now = max(self._now, timer)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what no code has handled."""
        task = context.get("task") or context.get("future")
        handle = context.get("handle")
        owner: Any = task.owner if isinstance(task, NumberedTask) else getattr(handle, "owner", CURRENT.get())
        self.lost_errors.append((owner, context))

    # Threads.

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Call the function in this thread at a drawn moment. If it sleeps, its result is there that much later."""
        future = self.create_future()
        self.call_later(self._random.uniform(0, _LONGEST_TURN), _call_as_thread, self, future, func, args)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """There is none."""

    # The network.

    def add_reader(self, *_: Any) -> NoReturn:  # type: ignore[override]  # whatever the arguments are
        """Refuse: nothing of the machine is read here."""
        raise EscapedError("a descriptor of this machine", "use the streams of asyncio, with hosts of this world")

    def add_writer(self, *_: Any) -> NoReturn:  # type: ignore[override]  # as above
        """Refuse, as `add_reader`."""
        self.add_reader()

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """The address of a host of this world. Raises socket.gaierror."""
        address = await self._network.resolve(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, int(port or 0)))]

    async def create_server(  # type: ignore[override]  # asyncio's has overloads
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Server:
        """Listen on a port of this host."""
        if options.get("ssl") is not None:
            _refuse_tls()
        if options.get("sock") is not None:
            raise EscapedError("a listening socket of this machine", "let the event loop listen, by host and port")
        return self._network.listen(protocol_factory, int(port or 0))

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **options: Any
    ) -> Any:
        """Connect to a host of this world. Raises OSError."""
        if options.get("ssl"):
            _refuse_tls()
        if sock is None:
            transport = await self._network.connect(await self._network.resolve(host), int(port))
        else:
            transport = self._network.take_from(sock)
        protocol = protocol_factory()
        transport.start(protocol)
        return transport, protocol

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a socket, which stands for the connection until `create_connection` gets it."""
        if not isinstance(address, tuple):
            raise EscapedError("a Unix socket", "connect to a host of this world by TCP")
        host, port, *_ = address
        self._network.give_to(sock, await self._network.connect(host, port))

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Handle a signal of this process."""
        owner = CURRENT.get()
        if owner is not None:
            owner.signal_handlers[sig] = _LoopSignal(self, callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Handle it no more."""
        owner = CURRENT.get()
        return owner is not None and owner.signal_handlers.pop(sig, None) is not None


class _LoopSignal:
    """A handler that was added by `loop.add_signal_handler`."""

    def __init__(self, loop: SimulatedLoop, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._loop = loop
        self._callback = callback
        self._args = args

    def __call__(self, _number: int, _frame: object) -> None:
        self._loop.call_soon(self._callback, *self._args)


def _call_as_thread(
    loop: SimulatedLoop, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Call a function as a thread would: if it sleeps, its result comes later, and the event loop is not blocked."""
    if future.cancelled():
        return
    owner = CURRENT.get()
    try:
        result, error = function(*args), None
    except Exception as raised:  # noqa: BLE001 - it belongs to the caller
        result, error = None, raised
    seconds = 0.0
    if owner is not None:
        seconds, owner.blocked_for = owner.blocked_for, 0.0
    loop.call_later(seconds, _settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _refuse_tls() -> NoReturn:
    raise EscapedError("TLS", "use http:// inside of a simulated world: `host.codeq_url` is such a URL")
