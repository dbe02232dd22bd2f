"""A tape: calls and callbacks as they happen, callers by their names, and a recording in the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_contract.recordings.format import Call, Recording
from codeq_contract.replay.comparison import REPLY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codeq_contract.recordings.format import Callback, Header

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tape:
    """Takes down what happens. Threads may share it. `now` tells the moment, in nanoseconds since 1970.

    A call is on the tape as soon as it is sent; until it is answered it has no reply, and may never get one.
    """

    now: Callable[[], int]
    callbacks: list[Callback] = field(default_factory=list)
    _calls: dict[int, Call] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls so far, in the order of their numbers."""
        return tuple(sorted(self._calls.values(), key=lambda call: call.number))

    def sent(
        self,
        method: str,
        path: str,
        body: str | None,
        *,
        identity: str | None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> int:
        """Note that a request goes out now; its number."""
        number, now = next(self._numbers), self.now()
        self._calls[number] = Call(number, now, now, identity, method, path, headers, body, 0, _NO_HEADERS, "")
        return number

    def answered(self, number: int, status: int, headers: Mapping[str, str], reply: str, *, at: int) -> None:
        """Note the answer to a request, which came `at` that moment; a status of 0 is none.

        Header names are in lower case.
        """
        kept = {name: headers[name] for name in REPLY_HEADERS if name in headers}
        call = self._calls[number]
        self._calls[number] = replace(call, answered=at, status=status, reply_headers=kept, reply=reply)

    def recording(self, header: Header) -> Recording:
        """All of it, under `header`."""
        calls = sorted(self._calls.values(), key=lambda call: (call.sent, call.number))
        callbacks = sorted(self.callbacks, key=lambda callback: callback.at)
        return Recording(header, tuple(calls), tuple(callbacks))
