"""Programs that the suite starts: each on a free port, in its own process group, with its output in a file."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .clocks import NotInTimeError, RealClock
from .servers import NotRunError

_LOG_LINES = 50
#: The last lines of a log are within this number of bytes.
_LOG_BYTES = 65_536
#: The lines of a log in an error message.
_SHOWN_LINES = 10
_POLL_INTERVAL = 0.02
#: Seconds that a program gets to end by itself. A server with an open long poll would take longer.
GRACE = 3.0
#: How many ports are tried. Another process may take the chosen one first.
_PORTS = 3
_TAKEN = "address already in use"

#: The variables that a program gets from the suite's own environment. None of these is a setting of a server.
_INHERITED = frozenset({"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "USER"})
#: Go's variables, for a server that is built when it starts or that writes its coverage.
_INHERITED_PREFIX = "GO"

#: The process groups that have not been ended yet.
_GROUPS: set[int] = set()

#: The ports of all programs so far, and the lock under which one more is given.
_GIVEN: set[int] = set()
_GIVING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Program:
    """A program with its first arguments, as the `option` of the command line gave it."""

    words: tuple[str, ...]
    option: str

    @classmethod
    def of(cls, text: str, option: str) -> Program:
        """The program of this command line. Raises NotRunError if no such program can be started."""
        try:
            name, *arguments = shlex.split(text)
        except ValueError as error:
            raise NotRunError(f"{option} {text}: {error}") from None
        path = Path(name) if "/" in name else Path(shutil.which(name) or name)
        if not path.exists():
            where = "there is no such file" if "/" in name else "no folder of PATH has it"
            raise NotRunError(f"{option} {name}: {where}; give the path of the program")
        if not path.is_file():
            raise NotRunError(f"{option} {name}: it is not a file; give the path of the program")
        if not os.access(path, os.X_OK):
            raise NotRunError(f"{option} {name}: it is not executable; `chmod +x {name}` changes that")
        return cls((str(path.absolute()), *arguments), option)

    def __str__(self) -> str:
        return f"{self.option} {shlex.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program, and how to see that it answers on its port.

    The port is in the variable PORT, or behind `port_flag`. `folder` is for its output. `remedy` says what a program
    needs to answer, which it must do within `patience` seconds.
    """

    program: Program
    folder: Path
    answers: Callable[[int], bool]
    remedy: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port_flag: str = ""
    patience: float = 60.0

    def command(self, port: int) -> tuple[str, ...]:
        """The whole command line."""
        return (*self.program.words, *self.arguments, *((self.port_flag, str(port)) if self.port_flag else ()))

    def variables(self, port: int) -> dict[str, str]:
        """The whole environment."""
        inherited = {name: value for name, value in os.environ.items() if _is_inherited(name)}
        return {**inherited, **self.environment, **({} if self.port_flag else {"PORT": str(port)})}


@dataclass(frozen=True, slots=True)
class Process:
    """A started program, the port that it was given, and its output."""

    program: Program
    port: int
    _popen: subprocess.Popen[bytes]
    _output: Path

    @property
    def has_ended(self) -> bool:
        """Whether the program is over."""
        return self._popen.poll() is not None

    def log(self, lines: int = _LOG_LINES) -> str:
        """The last lines of its output."""
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - _LOG_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def failure(self, remedy: str) -> NotRunError:
        """The error that says why it cannot be used."""
        log = self.log(_SHOWN_LINES)
        if not self.has_ended:
            reason = f"it does not answer on port {self.port} in time; {remedy}"
        elif _TAKEN in log.lower():
            reason = f"it ended at once, since its port is taken; {remedy}"
        else:
            reason = f"it ended at once, with exit code {self._popen.poll()}"
        return NotRunError(f"{self.program}: {reason}\n{log or 'It printed nothing.'}")


@contextmanager
def running(launch: Launch) -> Iterator[Process]:
    """The process once it answers. At the end it is ended with its children. Raises NotRunError if it never answers."""
    for attempt in range(1, _PORTS + 1):
        with _started(launch, free_port()) as process:
            if _answers(launch, process):
                yield process
                return
            if attempt == _PORTS or not process.has_ended or not _is_taken(process.port):
                raise process.failure(launch.remedy)


def _answers(launch: Launch, process: Process) -> bool:
    """Whether the process answers in time. One that has ended does not."""
    with suppress(NotInTimeError):
        RealClock().eventually(
            lambda: process.has_ended or launch.answers(process.port), within=launch.patience, every=_POLL_INTERVAL
        )
        return not process.has_ended
    return False


@contextmanager
def _started(launch: Launch, port: int) -> Iterator[Process]:
    """Start the program on a port, in a process group, which is ended with the context. Raises NotRunError."""
    command, output = launch.command(port), launch.folder / f"{Path(launch.program.words[0]).name}.log"
    with output.open("wb") as log:
        try:
            popen = subprocess.Popen(  # noqa: S603 - the user's command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=launch.variables(port),
                # A Ctrl-C at the terminal is for the suite, which ends its cases before the server.
                start_new_session=True,
            )
        except OSError as error:
            raise NotRunError(f"{launch.program}: it cannot be started: {error.strerror}") from None
    _GROUPS.add(popen.pid)
    try:
        yield Process(launch.program, port, popen, output)
    finally:
        _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> None:
    """End a process with its children. They get some time to end by themselves, also on a second Ctrl-C."""
    try:
        _signal(popen.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            popen.wait(GRACE)
    finally:
        _signal(popen.pid, signal.SIGKILL)
        popen.wait()
        _GROUPS.discard(popen.pid)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


@atexit.register
def _kill_all() -> None:
    """The last resort, if the waits of an ending run were broken off."""
    for group in _GROUPS:
        _signal(group, signal.SIGKILL)


def free_port() -> int:
    """A port that no program of this run was given before: one that still starts does not listen on its own so far."""
    while True:
        # CodeQ listens on all addresses of the machine.
        with socket.create_server(("", 0)) as listener:
            port: int = listener.getsockname()[1]
        with _GIVING:
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def _is_taken(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return True
    return False


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or name.startswith(_INHERITED_PREFIX)
