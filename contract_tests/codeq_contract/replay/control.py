"""The part of the fake's control API that a replay needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from codeq_contract.recordings.times import moment_text, parse_moment

if TYPE_CHECKING:
    import httpx


class ControlError(Exception):
    """A call of the control API failed. The text contains its reply."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The set-up of a fake for a recording. `now` is the start of its clock as RFC 3339 text."""

    profile: str
    settings: Mapping[str, str]
    yaml: str | None
    identities: Mapping[str, Mapping[str, Any]]
    now: str
    clock: str = "manual"


@dataclass(frozen=True, slots=True)
class Control:
    """The control API of the fake that `http` reaches. Every method raises ControlError."""

    http: httpx.AsyncClient
    token: str | None = None

    async def reset(self, configuration: Configuration) -> None:
        """Replace the fake by a new one with this set-up."""
        await self._call("reset", asdict(configuration))

    async def advance_to(self, moment: int) -> None:
        """Move the clock to `moment` (nanoseconds since 1970), and wait until everything due is done."""
        await self._call("clock/advance", {"to": moment_text(moment)})

    async def queue(self, ids: Sequence[str], delays: Sequence[int]) -> None:
        """Set the next ids of tasks and subscriptions, and the next jittered delays in seconds."""
        await self._call("next", {"ids": ids, "delays": delays})

    async def _call(self, name: str, body: Mapping[str, Any]) -> None:
        response = await self.http.post(f"/_fake/{name}", json=body, headers=_headers(self.token))
        _check(response)


def clock_of(http: httpx.Client, token: str | None) -> Callable[[], int]:
    """A function that asks the fake for its time, in nanoseconds since 1970. It raises ControlError."""

    def now() -> int:
        response = http.get("/_fake/clock", headers=_headers(token))
        _check(response)
        return parse_moment(response.json()["now"])

    return now


def _headers(token: str | None) -> Mapping[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        request = response.request
        raise ControlError(f"{request.method} {request.url.path}: {response.status_code} {response.text}")
