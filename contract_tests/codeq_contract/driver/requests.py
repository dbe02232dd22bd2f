"""One request to a server, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_REFUSAL = 400


def _no_headers() -> Mapping[str, str]:
    return MappingProxyType({})


class UnsupportedError(Exception):
    """The target lacks what the case needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Op:
    """A request: `identity` is whose bearer token it carries, and `{token:NAME}` in a header stands for a token."""

    method: str
    path: str
    identity: str | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=_no_headers)


class Outcome(StrEnum):
    """What a caller knows of a request afterwards."""

    OK = "ok"
    REFUSED = "refused"
    #: No answer came: the server may have done it or not.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reply:
    """An answer, and when it was asked for and had: `called` and `returned`, in nanoseconds of the driver's clock.

    Header names are in lower case. Without an answer `status` is 0, and `problem` says what happened instead.
    """

    called: int
    returned: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    body: bytes = b""
    problem: str = ""

    @property
    def outcome(self) -> Outcome:
        """Whether it was done, refused, or nobody knows."""
        if not self.status:
            return Outcome.UNKNOWN
        return Outcome.OK if self.status < _FIRST_REFUSAL else Outcome.REFUSED

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="backslashreplace")

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Reply {self.status or self.problem} {self.text}>"
