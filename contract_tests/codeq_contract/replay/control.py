"""The fake's control API, as far as a replay needs it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from codeq_contract.recordings.times import moment_text, parse_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx


class ControlError(Exception):
    """The control API did not do as asked; the text says what it answered."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How a fake is set up for a recording; `now` is where its clock starts, as RFC 3339 text."""

    profile: str
    settings: Mapping[str, str]
    yaml: str | None
    identities: Mapping[str, Mapping[str, Any]]
    now: str
    clock: str = "manual"


@dataclass(frozen=True, slots=True)
class Control:
    """Speaks to `/_fake` of the fake that `http` reaches. Every method raises ControlError."""

    http: httpx.AsyncClient
    token: str | None = None

    async def reset(self, configuration: Configuration) -> None:
        """Make the fake anew, set up by `configuration`."""
        await self._ask("POST", "reset", asdict(configuration))

    async def now(self) -> int:
        """The fake's time, in nanoseconds since 1970."""
        clock = await self._ask("GET", "clock")
        return parse_moment(clock["now"])

    async def advance_to(self, moment: int) -> None:
        """Let time pass up to `moment` (nanoseconds since 1970), until all that fell due is done."""
        await self._ask("POST", "clock/advance", {"to": moment_text(moment)})

    async def queue(self, ids: Sequence[str], delays: Sequence[int]) -> None:
        """Set the ids that the next tasks and subscriptions get, and the next jittered delays in seconds."""
        await self._ask("POST", "next", {"ids": ids, "delays": delays})

    async def _ask(self, method: str, name: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        response = await self.http.request(method, f"/_fake/{name}", json=body, headers=headers)
        if not response.is_success:
            raise ControlError(f"{method} /_fake/{name}: {response.status_code} {response.text}")
        answer: Mapping[str, Any] = response.json() if response.content else {}
        return answer
