"""The driver: all that a case sees of a server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from codeq_contract.driver.namespace import Namespace
from codeq_contract.driver.requests import Op, Reply, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from codeq_contract.driver.clocks import Clock
    from codeq_contract.driver.identities import Issuer
    from codeq_contract.driver.server_settings import Knobs, Setup
    from codeq_contract.driver.time_bounds import Tolerances
    from codeq_contract.driver.webhooks import Receiver
    from codeq_contract.recordings.format import Identity

_TOKEN = re.compile(r"\{token:([^}]+)\}")


class Transport(Protocol):
    """Carries requests to a server; what stands in a header is sent as it is."""

    def exchange(self, ops: Sequence[Op], schedule: int) -> list[Reply]:
        """Send these at once, and return all their answers. As in `Driver.together`."""
        ...


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a target gets of drawn plans: examples of each share, steps of each, and seconds that a step may wait.

    `seed` is what they are drawn from.
    """

    examples: int
    steps: int
    longest_wait: int
    seed: int = 0


@dataclass(frozen=True)
class Driver:
    """One server, its clock, its callers and the webhook that it can reach.

    `features` are what the target has; `tokens` are the callers it knows, by name. `in_real_time` says that waiting
    takes time, so that cases that wait are best run side by side.
    """

    target: str
    transport: Transport
    clock: Clock
    tokens: dict[str, str]
    knobs: Knobs
    tolerances: Tolerances
    features: frozenset[str]
    effort: Effort
    in_real_time: bool
    hooks: Receiver
    hooks_origin: str = ""
    issuer: Issuer | None = None
    start_other: Callable[[Setup], AbstractContextManager[Driver]] | None = None
    #: Those of `knobs` that nobody told, so that they are taken to be the real server's defaults.
    assumed: frozenset[str] = frozenset()
    #: What the target says of itself, for the report: versions, digests, addresses.
    about: Mapping[str, str] = field(default_factory=dict)
    #: The last lines of its logs, by what wrote them, where they can be had.
    logs: Callable[[], Mapping[str, str]] = dict

    @property
    def answers(self) -> bool:
        """Whether there is still anybody."""
        return bool(self.call(Op("GET", "/metrics")).status)

    def call(self, op: Op) -> Reply:
        """Send one request and wait for its answer."""
        return self.together([op])[0]

    def together(self, ops: Sequence[Op], *, schedule: int = 0) -> list[Reply]:
        """Send these at once; their replies in the same order.

        `schedule` chooses among the orders in which a target in this process can be made to take them; 0 is the order
        given. In real time chance chooses.
        """
        return self.transport.exchange([self._signed(op) for op in ops], schedule) if ops else []

    def namespace(self) -> Namespace:
        """Names that nobody else uses."""
        return Namespace()

    def mint(self, name: str, identity: Identity) -> None:
        """Let a further caller act under `name`. Raises UnsupportedError where tokens come from somebody else."""
        if self.issuer is None:
            raise UnsupportedError("callers with other claims")
        self.tokens[name] = self.issuer.token(identity, now=self.clock.now())

    def other(self, setup: Setup) -> AbstractContextManager[Driver]:
        """A second server of this kind, set up as told. Raises UnsupportedError where none can be started."""
        if self.start_other is None:
            raise UnsupportedError("a server with other settings")
        return self.start_other(setup)

    def _signed(self, op: Op) -> Op:
        headers = {name: _TOKEN.sub(lambda found: self.tokens[found[1]], value) for name, value in op.headers.items()}
        if op.identity is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[op.identity]}")
        if op.body is not None:
            headers.setdefault("Content-Type", "application/json")
        return replace(op, headers=headers)
