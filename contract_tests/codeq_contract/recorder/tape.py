"""A tape: calls and callbacks as they happen, with callers by name. It becomes a recording at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType

from codeq_contract.recordings.format import (
    CALLBACK_HEADERS,
    REPLY_HEADERS,
    SECRET_SETTING,
    SIGNATURE_HEADERS,
    Call,
    Callback,
    Header,
    Recording,
)

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def reply_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of a reply that a recording keeps. Their names are in lower case."""
    return {name: headers[name] for name in REPLY_HEADERS if name in headers}


@dataclass(frozen=True, slots=True)
class Tape:
    """Records what happens. Threads may share it. `now` tells the moment in nanoseconds since 1970.

    A call is on the tape as soon as it is sent. Until it is answered, and if it never is, it has no reply.
    """

    now: Callable[[], int]
    callbacks: list[Callback] = field(default_factory=list)
    _calls: dict[int, Call] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __len__(self) -> int:
        """The number of calls so far."""
        return len(self._calls)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls so far, in the order of their numbers."""
        return tuple(sorted(self._calls.values(), key=lambda call: call.number))

    def record_request(
        self,
        method: str,
        path: str,
        body: str | None,
        *,
        identity: str | None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> int:
        """Record that a request goes out now. Returns its number."""
        number, now = self.next_number(), self.now()
        self._calls[number] = Call(number, now, now, identity, method, path, headers, body, 0, _NO_HEADERS, "")
        return number

    def record_body(self, number: int, body: str) -> None:
        """Record the body of a request that has been sent in parts."""
        self._calls[number] = replace(self._calls[number], body=body)

    def record_reply(self, number: int, status: int, headers: Mapping[str, str], reply: str, *, at: int) -> None:
        """Record the reply to a request, received `at` that moment. A status of 0 means no reply."""
        call = self._calls[number]
        self._calls[number] = replace(
            call, answered=at, status=status, reply_headers=reply_headers(headers), reply=reply
        )

    def add(self, calls: Iterable[Call]) -> None:
        """Add calls that another tape has recorded by the same clock."""
        for call in calls:
            self.record_call(replace(call, number=self.next_number()))

    def next_number(self) -> int:
        """The number of the next call."""
        return next(self._numbers)

    def record_call(self, call: Call) -> None:
        """Record a call that has its reply already."""
        self._calls[call.number] = call

    def recording(self, header: Header) -> Recording:
        """Everything on the tape, under `header`. Without the secret no signature can be checked, so none is kept."""
        header_names = [
            name for name in CALLBACK_HEADERS if SECRET_SETTING in header.settings or name not in SIGNATURE_HEADERS
        ]
        calls = sorted(self._calls.values(), key=lambda call: (call.sent, call.number))
        callbacks = [
            replace(
                callback, headers={name: callback.headers[name] for name in header_names if name in callback.headers}
            )
            for callback in sorted(self.callbacks, key=lambda callback: callback.at)
        ]
        return Recording(header, tuple(calls), tuple(callbacks))
