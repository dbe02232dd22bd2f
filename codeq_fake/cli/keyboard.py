"""Keys that are pressed at the terminal, without a wait for Enter."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from select import select
from threading import Event
from typing import TypeAlias

#: Waits for so many seconds; returns the key that was pressed meanwhile, or an empty text.
NextKey: TypeAlias = Callable[[float], str]


@contextmanager
def keyboard() -> Iterator[NextKey]:
    """The keys of standard input. Without a terminal, and on Windows, there are none. Ctrl-C stays a signal."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield _no_key
        return
    import termios  # noqa: PLC0415 - not on Windows
    import tty  # noqa: PLC0415 - as above

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield partial(_key, terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _key(terminal: int, seconds: float) -> str:
    ready, _, _ = select([terminal], [], [], seconds)
    return os.read(terminal, 100).decode(errors="replace")[:1] if ready else ""


def _no_key(seconds: float) -> str:
    _ = Event().wait(seconds)
    return ""
