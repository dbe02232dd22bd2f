"""A file that one process has to itself, as long as it wants."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def sole_user(file: Path) -> Iterator[None]:
    """Have ``file`` to oneself among those who ask for that; it need not be there yet.

    The system lets go of it when the process ends, however it ends. Raises BlockingIOError when another process or
    context has it, and OSError when that cannot be told. On Windows nobody is held off.
    """
    if sys.platform == "win32":
        yield
        return
    target = file.resolve()
    # A file beside it, for the file itself is another one after each write.
    beside = target.with_name(f".{target.name}.lock")
    held = _locked(beside)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()  # before it is let go: the next one is to make its own
        os.close(held)


if sys.platform != "win32":
    import fcntl

    def _locked(beside: Path) -> int:
        while True:
            held = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still_there(beside, held):
                    return held
            except OSError:
                os.close(held)
                raise
            os.close(held)  # whoever had it has removed it between these two calls

    def _is_still_there(beside: Path, held: int) -> bool:
        try:
            return os.path.samestat(beside.stat(), os.fstat(held))
        except FileNotFoundError:
            return False
