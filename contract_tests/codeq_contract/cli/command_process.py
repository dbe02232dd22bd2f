"""The command of `codeq-contract record`: a process that ends with this one, and gets its signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from types import FrameType

#: How far apart the members of a process group may get the same signal (s).
_SAME_MOMENT = 0.3


def stop_signals() -> list[signal.Signals]:
    """The signals that end a recording. Under `nohup` a hang-up is ignored."""
    if sys.platform == "win32":
        return [signal.SIGINT, signal.SIGTERM]
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


def end_of(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end and forward signals. Returns its exit code, or 128 + n if signal n ended it."""
    received: SimpleQueue[int | None] = SimpleQueue()

    def take(number: int, _frame: FrameType | None) -> None:
        received.put(number)

    # Handled before the command runs, so that no signal can end this process and leave the command alone.
    for number in stop_signals():
        signal.signal(number, take)
    with _group_member() as member:  # there before the command, which may get a signal as soon as it runs
        process = subprocess.Popen(command, env=environ)  # noqa: S603 - the user's
        forwarding = Thread(target=_forward_all, args=(received, member, process), daemon=True)
        forwarding.start()
        code = process.wait()
        received.put(None)
        forwarding.join()
    return code if code >= 0 else 128 - code


def _forward_all(
    received: SimpleQueue[int | None], member: subprocess.Popen[bytes], process: subprocess.Popen[bytes]
) -> None:
    """Send the signals that this process receives to the command, unless its whole process group received them.

    A terminal signals the group, as do many supervisors. A command that gets a signal twice may end in another way.
    """
    if (number := received.get()) is None:
        return
    _forward(number, member, process)
    while True:
        with _group_member() as next_member:
            if (number := received.get()) is None:
                return
            _forward(number, next_member, process)


def _forward(number: int, member: subprocess.Popen[bytes], process: subprocess.Popen[bytes]) -> None:
    """Send a signal to the command, unless it ends the `member` of the process group, too."""
    try:
        member.wait(_SAME_MOMENT)
    except subprocess.TimeoutExpired:
        process.send_signal(number)


@contextmanager
def _group_member() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this group that does nothing. It ends with 0 at the end, or earlier by a signal to the group."""
    with subprocess.Popen(
        [sys.executable, "-ISc", "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.read(0, 1)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as member:
        yield member
