"""A fault rule: what goes wrong, for which requests and callbacks, and how often. Also the kinds of faults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from codeq_fake.core.commands import queue_name
from codeq_fake.core.times import SECOND
from codeq_fake.documents import is_unicode
from codeq_fake.payloads import FaultKind

#: A name that every request has, besides the name of its operation.
REQUEST = "request"
#: The names of result callbacks and queue-ready notices (W1, U3).
CALLBACK, NOTICE = "callback", "notice"
#: The names that a single result has besides `submit`, by its status.
COMPLETE, FAIL = "complete", "fail"

#: The values of `how`: what is left of a garbled reply.
WAYS = ("cut", "malformed")
#: The largest number of seconds: some thirty years.
_LONGEST = 1e9
_STATUSES = range(200, 600)
_FRAMING = ("content-length", "transfer-encoding")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

ConstructorT = TypeVar("ConstructorT", bound=Callable[..., object])


class BadFaultError(ValueError):
    """A fault rule is invalid; the text says what is wrong and what is allowed."""


class Occasion(NamedTuple):
    """A request, or one attempt of a callback, with what rules compare.

    `names` are the values of `on` that match it. Commands are in lower case (C2).
    """

    names: frozenset[str]
    worker: str = ""
    commands: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()


class Kind(NamedTuple):
    """One kind of fault.

    `on` are the occasions of a rule that has no `on`; `only` are all that a rule may name (empty: every operation).
    `takes` are the arguments that only some kinds have. After an `is_final` fault nothing else can go wrong. `about`
    says what happens.
    """

    on: frozenset[str]
    only: frozenset[str]
    takes: frozenset[str]
    is_final: bool
    about: str


#: Name -> kind; filled by the functions of `kinds`.
KINDS: dict[str, Kind] = {}


def kind(
    *, on: frozenset[str] = frozenset({REQUEST}), only: frozenset[str] = frozenset(), is_final: bool = False
) -> Callable[[ConstructorT], ConstructorT]:
    """Declare a kind of fault by the function that makes its rules.

    The function's name is the name of the kind, its own arguments are `takes`, its docstring begins with `about`.
    """

    def declare(constructor: ConstructorT) -> ConstructorT:
        takes = frozenset(inspect.signature(constructor).parameters) - {"where"}
        about = (inspect.getdoc(constructor) or "").partition("\n")[0]
        KINDS[constructor.__name__] = Kind(on, only, takes, is_final, about)
        return constructor

    return declare


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault to inject: its kind `do`, the requests or callbacks that it matches, and how often it fires.

    A rule matches a request or callback only if all of its conditions match: `on` is an operation (`claim`, `complete`
    ...), a route, `callback` or `notice`; `worker` is a token's subject; `command`; `task` is an id. It fires from the
    `nth` match on, `times` times (None: always, or once if there is an `nth`), each time with `probability`: see
    `plan.Fault.meet`. Every rule has its own random numbers; `seed` makes them repeatable.

    The other arguments belong to single kinds: `seconds` to `delay`, `callback_late` and `clock_skew`; `status`,
    `body`, `headers` and `retry_after` to `refuse`; `how` to `garble`.

    Raises BadFaultError.
    """

    do: FaultKind
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
        self._check_types()
        for name in ("nth", "times"):
            count: int | None = getattr(self, name)
            if count is not None and count < 1:
                raise BadFaultError(f"{name}: found {count}, it counts from 1")
        if not 0 <= self.probability <= 1:
            raise BadFaultError(f"probability: found {self.probability}, it lies between 0 and 1")
        self._check_arguments()

    def _check_types(self) -> None:
        """Refuse values of wrong types, which annotations do not stop."""
        for name in ("on", "worker", "command", "task"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise BadFaultError(f"{name}: found {value!r}, a text belongs here")
        for name in ("nth", "times", "seed", "status", "retry_after"):
            value = getattr(self, name)
            if value is not None and type(value) is not int:
                raise BadFaultError(f"{name}: found {value!r}, it is a whole number")
        for name in ("seconds", "probability"):
            value = getattr(self, name)
            if value is not None and type(value) not in (int, float):
                raise BadFaultError(f"{name}: found {value!r}, it is a number")

    def _check_arguments(self) -> None:
        """Refuse arguments that this kind of fault does not take, and values out of their range."""
        takes = KINDS[self.do].takes
        for name in ("seconds", "status", "body", "headers", "retry_after", "how"):
            if getattr(self, name) not in (None, ()) and name not in takes:
                raise BadFaultError(f"{name}: {self.do} takes {' and '.join(sorted(takes)) or 'no further argument'}")
        if "seconds" in takes:
            self._check_seconds(self.seconds)
        if self.status is not None and self.status not in _STATUSES:
            raise BadFaultError(f"status: found {self.status}, it lies between 200 and 599")
        if (self.retry_after or 0) < 0:
            raise BadFaultError(f"retryAfter: found {self.retry_after}, it is not negative")
        if self.body is not None and not is_unicode(self.body):
            raise BadFaultError("body: half a surrogate pair is no Unicode text")
        if self.how not in (None, *WAYS):
            raise BadFaultError(f"how: found {self.how!r}, known are {' and '.join(WAYS)}")
        self._check_headers()

    def _check_headers(self) -> None:
        for name, value in self.headers:
            if not (_is_text(name, _HEADER_NAME) and _is_text(value, _HEADER_VALUE)):
                raise BadFaultError(f"headers: {name!r}: {value!r} is not a header")
            if name.lower() in _FRAMING:
                raise BadFaultError(f"headers: {name} is set by the server")

    def _check_seconds(self, seconds: float | None) -> None:
        least = -_LONGEST if self.do == "clock_skew" else 0
        if seconds is None or not least <= seconds <= _LONGEST:
            raise BadFaultError(f"seconds: found {seconds}, {self.do} needs a number from {least:.0f} to 1000000000")

    @property
    def duration(self) -> int:
        """`seconds` in ns; 0 if there are none."""
        return round((self.seconds or 0) * SECOND)

    def matches(self, occasion: Occasion) -> bool:
        """Whether all conditions of this rule match the occasion."""
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


def _is_text(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
