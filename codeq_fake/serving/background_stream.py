"""A text stream that never waits and never fails: a thread writes to the output, and what is not read is dropped."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO

#: The most bytes that wait for the output. A reader that pauses for a while misses nothing.
_LIMIT = 1_000_000
#: How long the end waits for a slow reader (s).
_PATIENCE = 1.0


class BackgroundStream(io.TextIOBase):
    """Writes to the file descriptor of `output`, which may be a full pipe, a closed one or a stopped terminal."""

    def __init__(self, output: TextIO) -> None:
        self._descriptor = output.fileno()
        self._encoding = output.encoding
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._ended = False
        self._thread = threading.Thread(target=self._write_all, name="codeq-output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in the base class, without a value
        """The encoding of the output."""
        return self._encoding

    def writable(self) -> bool:
        """Whether it can be written to, which is always so."""
        return True

    def fileno(self) -> int:
        """The file descriptor of the output."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether the output is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        """Let the thread write `text`, or drop it if too much waits already."""
        data = text.encode(self._encoding, errors="backslashreplace")
        with self._changed:
            if self._ended or self._size > _LIMIT:
                self._dropped += 1
            elif data:
                self._waiting.append(data)
                self._size += len(data)
                self._changed.notify()
        return len(text)

    def end(self) -> None:
        """Write what waits, but not for longer than a second. What comes later is dropped."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_PATIENCE)

    def _write_all(self) -> None:
        """Write what comes, until the end or as long as there is a reader. The thread runs this."""
        try:
            while data := self._next():
                # Not through a buffered stream: Python's end would wait for its lock.
                rest = memoryview(data)
                while rest:
                    rest = rest[self._write_some(rest) :]
        except OSError:
            self._ended = True  # no reader is left

    def _write_some(self, data: memoryview) -> int:
        """Write as much as the output takes at once. Returns how many bytes."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another process that has this output too made it non-blocking
            select.select([], [self._descriptor], [])
            return 0

    def _next(self) -> bytes:
        """Wait for data and take it; nothing at the end."""
        with self._changed:
            while not (self._waiting or self._ended):
                self._changed.wait()
            if self._dropped:
                note = f"codeq-fake: {self._dropped} lines of output were dropped here, because they were not read\n"
                self._waiting.append(note.encode())
            data, self._waiting, self._size, self._dropped = b"".join(self._waiting), [], 0, 0
            return data


@contextmanager
def background_output() -> Iterator[None]:
    """Let a thread write standard output and standard error, so that neither can stop or break a server."""
    with ExitStack() as stack:
        for output, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            with suppress(io.UnsupportedOperation):  # it has no file descriptor, and so nothing to wait for
                stream = BackgroundStream(output)
                stack.callback(stream.end)
                stack.enter_context(redirect(stream))
        yield
