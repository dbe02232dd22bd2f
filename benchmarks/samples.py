"""A profile by samples: which package's Python code runs, each millisecond of CPU time that the process takes."""

from __future__ import annotations

import atexit
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_INTERVAL = 0.001
#: The modules that run the event loop.
_RUNNERS = (("asyncio", "runners"), ("uvicorn", "_compat"))
#: Shares below this (%) are shown together.
_SMALL = 1.0


class Samples:
    """The samples of a program, by package.

    Work in C, system calls too, counts for the Python code that called it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._by_package: Counter[str] = Counter()

    def start(self) -> None:
        """Take samples until the process ends, and then print the shares."""
        signal.signal(signal.SIGPROF, self._take)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # else `atexit` would call nothing
        atexit.register(self._print)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def _take(self, _number: int, frame: FrameType | None) -> None:
        if frame is not None:
            self._by_package[_package(frame.f_code.co_filename)] += 1

    def _print(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = sum(self._by_package.values()) or 1
        shares = [(100 * count / total, package) for package, count in self._by_package.most_common()]
        shown = [f"{package} {share:.0f} %" for share, package in shares if share >= _SMALL]
        rest = sum(share for share, _ in shares if share < _SMALL)
        print(f"{self._name}: {', '.join(shown)}, others {rest:.0f} %", file=sys.stderr)


def _package(file: str) -> str:
    """The name for a file: `codeq_fake.http`, a library, or a module of the standard library."""
    parts = Path(file).with_suffix("").parts
    if parts[-2:] in _RUNNERS:
        return "the event loop"
    for root in ("site-packages", f"python{sys.version_info.major}.{sys.version_info.minor}"):
        if root in parts:
            return parts[parts.index(root) + 1]
    if "codeq_fake" in parts:
        return ".".join(parts[parts.index("codeq_fake") :][:2])
    return parts[-1]
