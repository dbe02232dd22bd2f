"""What can be done to a simulated world: to its hosts, its network and its server. The weather calls these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from codeq_fake.control.fault_rules import FaultControls
from codeq_fake.testing import FakeCodeQ

from .plan import Event

#: Which way bytes go, seen from a host.
Direction = Literal["to_server", "from_server", "both"]


class HostActs(Protocol):
    """One host and the process on it. An act that makes no sense now, such as the kill of a dead one, does nothing."""

    @property
    def is_up(self) -> bool:
        """Whether its process runs. It may stand still."""

    def kill(self, *, power: bool = False) -> None:
        """End the process at once. Its peers see resets after what is in flight; with `power` they see silence."""

    def restart(self) -> None:
        """Start the process now, if it is not up."""

    def stop(self) -> None:
        """Ask the process to end, as SIGTERM does. After `hosts.GRACE` it is killed."""

    def pause(self) -> None:
        """Let the process stand still. Bytes that arrive wait."""

    def resume(self) -> None:
        """Let it go on."""

    def skew(self, seconds: float) -> None:
        """Let its wall clock be wrong by so many seconds from now on."""


class WireActs(Protocol):
    """The network between one host and the server."""

    def delay(self, seconds: float) -> None:
        """Let each packet take that much longer, in each direction. 0 ends it."""

    def trickle(self, rate: int) -> None:
        """Let each connection carry so many bytes a second, in each direction, second by second. 0 ends it."""

    def cut(self, direction: Direction = "both") -> None:
        """Let nothing through. What is sent waits, as TCP sends again."""

    def heal(self, direction: Direction = "both") -> None:
        """Let everything through again."""

    def reset(self) -> None:
        """Reset all of its connections."""

    def lose_request(self) -> None:
        """Lose the next request: its connection is reset before the server has it."""

    def lose_reply(self) -> None:
        """Lose the next reply: the server has done what it says, and the connection is reset."""


class ServerActs(Protocol):
    """The server, and the proxy before it."""

    def answer(
        self, status: int, *, host: str = "", times: int = 1, retry_after: int | None = None, is_late: bool = False
    ) -> None:
        """Let the proxy answer the next requests itself, those of one host or of all.

        The server does not see them. With `is_late` it has carried them out before, and its replies are lost.
        """

    def kill(self) -> None:
        """Reset all connections, and refuse new ones. The store stays."""

    def restart(self) -> None:
        """Serve again."""


class WorldActs(Protocol):
    """A world as the weather sees it.

    `lasting` are the events that are not over, by their kind and target: those of one kind may overlap. All hosts run,
    and the network is whole, from `calm_since` on (virtual seconds since the start of the run).
    """

    lasting: dict[tuple[str, str], list[Event]]
    calm_since: float | None

    @property
    def hosts(self) -> Mapping[str, HostActs]:
        """The hosts by name, without the server's, in the order in which they were made."""

    @property
    def server(self) -> ServerActs:
        """The server."""

    @property
    def fake(self) -> FakeCodeQ:
        """The fake itself: its races, faults and history."""

    def wire(self, host: str) -> WireActs:
        """The network between a host and the server."""

    @property
    def faults(self) -> FaultControls:
        """The fault rules of the fake."""

    def at(self, when: float, function: Callable[[], object]) -> None:
        """Call a plain or async function at a moment of the run (virtual seconds since its start)."""
