"""The steps of one session: requests and waits, without the ids, names and addresses that differ between servers.

A plan of them is data, so that it can be played again, without some of its steps, in a session with other names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

#: The prefix of all names of a session.
NAME = "{name}"
#: The origin of the webhook, as the server reaches it.
HOOKS = "{hooks}"
#: The token of the caller, in the header Authorization.
TOKEN = "{token}"  # noqa: S105 - a placeholder
#: The header by which most requests name their caller.
BEARER = ("Authorization", f"Bearer {TOKEN}")

_PLACEHOLDER = re.compile(r"\{(?:name|hooks|token|id \d+\.\d+)\}")


def id_in_reply(step: int, index: int = 0) -> str:
    """The placeholder for an id in the reply to that step: of the task made or claimed, or a later one of a batch."""
    return f"{{id {step}.{index}}}"


def filled(text: str, value_of: Callable[[str], str]) -> str:
    """`text` with `value_of(placeholder)` in the place of each placeholder."""
    return _PLACEHOLDER.sub(lambda found: value_of(found[0]), text)


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object or array in its parts, each of which can be left out."""

    opening: str
    parts: tuple[Body | str, ...]
    closing: str

    def __str__(self) -> str:
        return f"{self.opening}{','.join(map(str, self.parts))}{self.closing}"

    def smaller(self) -> Iterator[Body]:
        """The bodies with one part less, at any depth."""
        for index in range(len(self.parts)):
            yield replace(self, parts=(*self.parts[:index], *self.parts[index + 1 :]))
        for index, part in enumerate(self.parts):
            if isinstance(part, Body):
                for less in part.smaller():
                    yield replace(self, parts=(*self.parts[:index], less, *self.parts[index + 1 :]))


@dataclass(frozen=True, slots=True)
class Send:
    """A request. The characters of its target are bytes. A byte of its body that is no UTF-8 is half a surrogate pair.

    `number` is its place in the plan as it was drawn; placeholders for ids name it.
    """

    number: int
    method: str
    target: str
    caller: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | str | None = None

    def simpler(self) -> Iterator[Send]:
        """The requests with one header, the query or one part of the body less."""
        for index in range(len(self.headers)):
            yield replace(self, headers=(*self.headers[:index], *self.headers[index + 1 :]))
        path, mark, _ = self.target.partition("?")
        if mark:
            yield replace(self, target=path)
        if isinstance(self.body, Body):
            for less in self.body.smaller():
                yield replace(self, body=less)


@dataclass(frozen=True, slots=True)
class Wait:
    """Time that passes for both servers."""

    seconds: float


Step: TypeAlias = Send | Wait
Plan: TypeAlias = tuple[Step, ...]
