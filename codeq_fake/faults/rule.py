"""A rule: what is to go wrong, with what, and how often."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codeq_fake.core.commands import queue_name
from codeq_fake.core.units import SECOND

from .errors import BadFaultError
from .kinds import KINDS

if TYPE_CHECKING:
    from .occasion import Occasion

#: How far time may be put off, in seconds: some thirty years.
_FARTHEST = 1e9
#: What is left of a reply that is garbled.
WAYS = ("cut", "malformed")
_STATUSES = range(200, 600)
_FRAMING = ("content-length", "transfer-encoding")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault to be made: its kind ``do``, what it meets, and how often it fires.

    It meets a request or a callback that is all of what it names: ``on`` an operation (``claim``, ``complete`` ...), a
    route, ``callback`` or ``notice``; ``worker`` a token's subject; ``command``; ``task`` an id. From the ``nth`` that
    it meets it fires, ``times`` times (None: always, or once with an ``nth``), each time with ``probability`` by a
    chance of its own that ``seed`` makes repeatable.

    The rest belongs to single kinds: ``seconds`` to ``delay``, ``callback_late`` and ``clock_skew``; ``status``,
    ``body``, ``headers`` and ``retry_after`` to ``refuse``; ``how`` to ``garble``.

    Raises BadFaultError.
    """

    do: str
    on: str = ""
    worker: str = ""
    command: str = ""
    task: str = ""
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float | None = None
    status: int | None = None
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: int | None = None
    how: Literal["cut", "malformed"] | None = None

    def __post_init__(self) -> None:
        if self.do not in KINDS:
            raise BadFaultError(f"do: there is no kind {self.do!r}; known are {', '.join(KINDS)}")
        for name in ("nth", "times"):
            count: int | None = getattr(self, name)
            if count is not None and count < 1:
                raise BadFaultError(f"{name}: found {count}, it counts from 1")
        if not 0 <= self.probability <= 1:
            raise BadFaultError(f"probability: found {self.probability}, it lies between 0 and 1")
        self._check_arguments()

    def _check_arguments(self) -> None:
        takes = KINDS[self.do].takes
        for name in ("seconds", "status", "body", "headers", "retry_after", "how"):
            if getattr(self, name) not in (None, ()) and name not in takes:
                raise BadFaultError(f"{name}: {self.do} takes {' and '.join(sorted(takes)) or 'nothing of its own'}")
        if "seconds" in takes:
            self._check_seconds(self.seconds)
        if self.status is not None and self.status not in _STATUSES:
            raise BadFaultError(f"status: found {self.status}, it lies between 200 and 599")
        if (self.retry_after or 0) < 0:
            raise BadFaultError(f"retryAfter: found {self.retry_after}, it is not negative")
        if self.how not in (None, *WAYS):
            raise BadFaultError(f"how: found {self.how!r}, known are {' and '.join(WAYS)}")
        for name, value in self.headers:
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise BadFaultError(f"headers: {name!r}: {value!r} is no header")
            if name.lower() in _FRAMING:
                raise BadFaultError(f"headers: {name} says where a reply ends, which the server does")

    def _check_seconds(self, seconds: float | None) -> None:
        least = -_FARTHEST if self.do == "clock_skew" else 0
        if seconds is None or not math.isfinite(seconds) or not least <= seconds <= _FARTHEST:
            raise BadFaultError(f"seconds: found {seconds}, {self.do} needs a number from {least:.0f} to 1000000000")

    @property
    def duration(self) -> int:
        """``seconds`` in ns, 0 without."""
        return round((self.seconds or 0) * SECOND)

    def meets(self, occasion: Occasion) -> bool:
        """Whether the occasion is all of what this rule names."""
        names = {self.on} if self.on else KINDS[self.do].on
        return (
            not occasion.names.isdisjoint(names)
            and (not self.worker or self.worker == occasion.worker)
            and (not self.command or queue_name(self.command) in occasion.commands)
            and (not self.task or self.task in occasion.tasks)
        )

    def __str__(self) -> str:
        named = ((name, getattr(self, name)) for name in ("on", "worker", "command", "task", "nth"))
        return " ".join([self.do, *(f"{name}={value}" for name, value in named if value)])
