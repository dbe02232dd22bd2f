"""The machine under a simulated world: its clocks, its chance, its signals and its threads, as Python offers them.

While a world runs, it replaces the functions of the standard library by which a program asks the machine for something,
also where a module has imported them by name. In other threads they do what they always do.
"""

from __future__ import annotations

import datetime as dt
import os
import random as random_module
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from functools import partial
from random import Random
from threading import Thread, get_ident
from types import ModuleType
from typing import Any
from uuid import UUID

from codeq_fake.compat.anyio import calls_on_threads_by, numbered_scopes

from .chance import Chance
from .escapes import SENTRY, THREAD, EscapedError
from .incarnation import CURRENT, End
from .loop import SimulatedLoop

_SECOND = 1_000_000_000
#: For how long the machine has run when the world begins (s).
_UPTIME = 100_000.0

#: Between the beginning of UUIDs' calendar, in 1582, and that of Unix (100 ns).
_GREGORIAN_TICKS = 0x01B21DD213814000

_REAL_DATETIME = datetime
_UTC_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as utcnow returns it


class Machine:
    """The clocks and the chance of one world. `epoch` is the wall clock's time at its start (s)."""

    def __init__(self, loop: SimulatedLoop, chance: Chance, epoch: float) -> None:
        self.loop = loop
        self.chance = chance
        self.epoch = epoch
        self.thread = get_ident()

    def monotonic(self) -> float:
        """Seconds since the machine was started, with what the code that runs has slept."""
        incarnation = CURRENT.get()
        return _UPTIME + self.loop.time() + (incarnation.blocked_for if incarnation is not None else 0.0)

    def wall(self) -> float:
        """Seconds since the epoch by the clock of the host that runs."""
        incarnation = CURRENT.get()
        skew = incarnation.host.wrong_by if incarnation is not None else 0.0
        return self.epoch - _UPTIME + self.monotonic() + skew

    def sleep(self, seconds: float) -> None:
        """Block the process that runs."""
        incarnation = CURRENT.get()
        if incarnation is None:
            raise EscapedError("time.sleep in the test itself", "use await asyncio.sleep")
        incarnation.blocked_for += seconds


_machine: Machine | None = None


def _inside() -> Machine | None:
    """The machine on which the caller runs, None for the real one."""
    machine = _machine
    return machine if machine is not None and get_ident() == machine.thread else None


@contextmanager
def simulated(machine: Machine) -> Iterator[None]:
    """Let this thread run on a machine as long as the context lasts."""
    global _machine  # noqa: PLW0603 - what is replaced is global, too
    state = random_module.getstate()
    patches = _Patches()
    _machine = machine
    try:
        random_module.seed(machine.chance.entropy().getrandbits(64))
        patches.apply()
        SENTRY.stand_guard()
        with numbered_scopes(), calls_on_threads_by(machine.loop.run_in_executor):
            yield
    finally:
        SENTRY.stand_down()
        patches.undo()
        _machine = None
        random_module.setstate(state)


class _Patches:
    """Replacements of attributes of modules and classes."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def apply(self) -> None:
        """Replace everything."""
        for target, name, value in (*_USES.listed(), *_METHODS):
            self._undo.append((target, name, getattr(target, name)))
            setattr(target, name, value)

    def undo(self) -> None:
        """Put everything back."""
        for target, name, value in reversed(self._undo):
            setattr(target, name, value)


class _Uses:
    """Where each module has which replaced function. They are listed again only if modules were loaded since."""

    def __init__(self) -> None:
        self._modules = 0
        self._uses: list[tuple[Any, str, Any]] = []

    def listed(self) -> list[tuple[Any, str, Any]]:
        """Module, name and what stands in for the function."""
        if len(sys.modules) != self._modules:
            replacements = {id(real): ours for real, ours in _REPLACED}
            self._uses = [
                (module, name, replacements[id(value)])
                for module in list(sys.modules.values())
                if type(module) is ModuleType and module.__name__ != __name__
                for name, value in list(vars(module).items())
                if id(value) in replacements
            ]
            self._modules = len(sys.modules)
        return self._uses


# Clocks.


def _time() -> float:
    machine = _inside()
    return _REAL_TIME() if machine is None else machine.wall()


def _time_ns() -> int:
    machine = _inside()
    return _REAL_TIME_NS() if machine is None else round(machine.wall() * _SECOND)


def _monotonic() -> float:
    machine = _inside()
    return _REAL_MONOTONIC() if machine is None else machine.monotonic()


def _monotonic_ns() -> int:
    machine = _inside()
    return _REAL_MONOTONIC_NS() if machine is None else round(machine.monotonic() * _SECOND)


def _perf_counter() -> float:
    machine = _inside()
    return _REAL_PERF_COUNTER() if machine is None else machine.monotonic()


def _perf_counter_ns() -> int:
    machine = _inside()
    return _REAL_PERF_COUNTER_NS() if machine is None else round(machine.monotonic() * _SECOND)


def _clock_gettime(clock: int) -> float:
    machine = _inside()
    if machine is None:
        return _REAL_CLOCK_GETTIME(clock)
    return machine.wall() if clock == time.CLOCK_REALTIME else machine.monotonic()


def _clock_gettime_ns(clock: int) -> int:
    return _REAL_CLOCK_GETTIME_NS(clock) if _inside() is None else round(_clock_gettime(clock) * _SECOND)


def _sleep(seconds: float) -> None:
    machine = _inside()
    if machine is None:
        _REAL_SLEEP(seconds)
    else:
        machine.sleep(seconds)


def _localtime(seconds: float | None = None) -> time.struct_time:
    return _REAL_LOCALTIME(_time() if seconds is None else seconds)


def _gmtime(seconds: float | None = None) -> time.struct_time:
    return _REAL_GMTIME(_time() if seconds is None else seconds)


class _MetaDatetime(type):
    """Makes real datetimes instances of the replaced class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL_DATETIME)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _REAL_DATETIME)


class _Datetime(datetime, metaclass=_MetaDatetime):
    """The class `datetime` whose present instant is that of the world. Its instances are real ones."""

    def __new__(cls, *args: Any, **options: Any) -> datetime:  # type: ignore[misc]  # see above
        return _REAL_DATETIME(*args, **options)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # as above
        return _REAL_DATETIME.fromtimestamp(_time(), tz)

    @classmethod
    def today(cls) -> datetime:  # type: ignore[override]  # as above
        return _REAL_DATETIME.fromtimestamp(_time())

    @classmethod
    def utcnow(cls) -> datetime:  # type: ignore[override]  # as above
        return _UTC_EPOCH + timedelta(seconds=_time())


for _name in (
    "fromtimestamp",
    "utcfromtimestamp",
    "strptime",
    "combine",
    "fromisoformat",
    "fromordinal",
    "fromisocalendar",
):
    setattr(_Datetime, _name, getattr(_REAL_DATETIME, _name))

# Chance.


def _urandom(size: int) -> bytes:
    machine = _inside()
    return _REAL_URANDOM(size) if machine is None else machine.chance.entropy().randbytes(size)


def _seed(self: Random, a: Any = None, version: int = 2) -> None:  # noqa: ANN401 - as the real one's
    machine = _inside()
    if a is None and machine is not None:
        a = machine.chance.entropy().getrandbits(128)
    _REAL_SEED(self, a, version)


def _draw(function: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the real ones
    """Call a function of the module `random`, each host with its generator."""
    machine = _inside()
    generator = _REAL_GENERATOR if machine is None else machine.chance.numbers()
    return getattr(generator, function)(*args, **options)


def _uuid1(node: int | None = None, clock_seq: int | None = None) -> UUID:
    """A UUID of the virtual time and a drawn network card. The real function also depends on earlier calls."""
    machine = _inside()
    if machine is None:
        return _REAL_UUID1(node, clock_seq)
    ticks, entropy = _time_ns() // 100 + _GREGORIAN_TICKS, machine.chance.entropy()
    node = entropy.getrandbits(48) if node is None else node
    sequence = entropy.getrandbits(14) if clock_seq is None else clock_seq
    fields = (ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48, sequence >> 8 & 0x3F, sequence & 0xFF, node)
    return UUID(fields=fields, version=1)


def _load_no_certificates(self: ssl.SSLContext, *_args: object, **_options: object) -> None:
    """Load nothing: TLS is refused in a world, and loading certificates takes 20 ms for each HTTP client."""


# Threads, signals and the process.


def _start(self: Thread) -> None:
    if _inside() is not None:
        raise EscapedError(*THREAD)
    _REAL_START(self)


def _signal(number: int, handler: Any) -> Any:  # noqa: ANN401 - as the real one's
    incarnation = CURRENT.get()
    if incarnation is None:
        return _REAL_SIGNAL(number, handler)
    previous = _getsignal(number)
    incarnation.signal_handlers[number] = handler
    return previous


def _getsignal(number: int) -> Any:  # noqa: ANN401 - as above
    incarnation = CURRENT.get()
    if incarnation is None:
        return _REAL_GETSIGNAL(number)
    ordinary = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    return incarnation.signal_handlers.get(number, ordinary)


def _kill(pid: int, number: int) -> None:
    incarnation = CURRENT.get()
    if incarnation is None:
        _REAL_KILL(pid, number)
    elif pid != os.getpid():
        raise EscapedError("a signal to a real process", "send it to a host of the world: host.stop()")
    else:
        incarnation.host.signal(number)


def _raise_signal(number: int) -> None:
    incarnation = CURRENT.get()
    if incarnation is None:
        _REAL_RAISE_SIGNAL(number)
    else:
        incarnation.host.signal(number)


def _exit(status: int) -> None:
    incarnation = CURRENT.get()
    if incarnation is None:
        _REAL_EXIT(status)
    else:
        incarnation.host.end(End.EXIT)
        raise SystemExit(status)


def _gethostname() -> str:
    incarnation = CURRENT.get()
    return _REAL_GETHOSTNAME() if incarnation is None else incarnation.host.name


_REAL_TIME, _REAL_TIME_NS, _REAL_SLEEP = time.time, time.time_ns, time.sleep
_REAL_MONOTONIC, _REAL_MONOTONIC_NS = time.monotonic, time.monotonic_ns
_REAL_PERF_COUNTER, _REAL_PERF_COUNTER_NS = time.perf_counter, time.perf_counter_ns
_REAL_CLOCK_GETTIME, _REAL_CLOCK_GETTIME_NS = time.clock_gettime, time.clock_gettime_ns
_REAL_LOCALTIME, _REAL_GMTIME = time.localtime, time.gmtime
_REAL_START = Thread.start
_REAL_URANDOM, _REAL_SEED, _REAL_UUID1 = os.urandom, random_module.Random.seed, uuid.uuid1
#: The generator whose methods are the functions of `random`.
_REAL_GENERATOR: Any = random_module.random.__self__  # type: ignore[attr-defined]  # typeshed declares functions
_REAL_SIGNAL, _REAL_GETSIGNAL, _REAL_RAISE_SIGNAL = signal.signal, signal.getsignal, signal.raise_signal
_REAL_KILL, _REAL_EXIT, _REAL_GETHOSTNAME = os.kill, os._exit, socket.gethostname

#: Function or class -> what stands in for it.
_REPLACED: list[tuple[Any, Any]] = [
    (time.time, _time),
    (time.time_ns, _time_ns),
    (time.monotonic, _monotonic),
    (time.monotonic_ns, _monotonic_ns),
    (time.perf_counter, _perf_counter),
    (time.perf_counter_ns, _perf_counter_ns),
    (time.clock_gettime, _clock_gettime),
    (time.clock_gettime_ns, _clock_gettime_ns),
    (time.sleep, _sleep),
    (time.localtime, _localtime),
    (time.gmtime, _gmtime),
    (dt.datetime, _Datetime),
    (os.urandom, _urandom),
    (uuid.uuid1, _uuid1),
    (signal.signal, _signal),
    (signal.getsignal, _getsignal),
    (signal.raise_signal, _raise_signal),
    (os.kill, _kill),
    (os._exit, _exit),
    (socket.gethostname, _gethostname),
    *(
        (function, partial(_draw, name))
        for name, function in vars(random_module).items()
        if getattr(function, "__self__", None) is _REAL_GENERATOR
    ),
]
_METHODS: list[tuple[Any, str, Any]] = [
    (random_module.Random, "seed", _seed),
    (Thread, "start", _start),
    (ssl.SSLContext, "load_verify_locations", _load_no_certificates),
]
_USES = _Uses()
