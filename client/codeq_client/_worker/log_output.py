"""The log of `codeq-worker`: its lines, and a thread that writes them, so that no reader can stop the worker."""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import threading
from datetime import UTC, datetime
from typing import TextIO

from codeq_client._display import printable

from .cancellation import text_of
from .job import current_task, log_fields

#: The most lines that wait for the output. More are dropped and counted.
_LIMIT = 10_000
#: How long the end waits for a slow reader (s).
_PATIENCE = 1.0
#: The most characters of a record's text: that of an exception may be a whole document.
_LONGEST = 32_000


#: What each record has without `extra`; `taskName` is newer than Python 3.11.
_STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class TextLines(logging.Formatter):
    """Formats a record as text. Further lines of a message are indented, so that none looks like a record."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return the line without its traceback."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, with its traceback."""
        return printable(_shortened(super().format(record)))


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object, with the fields of the current task and of `extra`. Times are in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        task = current_task.get()
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        line: dict[str, object] = {
            **(log_fields(task) if task else {}),
            **extra,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _shortened(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = _shortened(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        try:
            return _json(line)
        except Exception:  # noqa: BLE001 - one value of `extra` must not cost the record
            return _json({str(name): _readable(value) for name, value in line.items()})


def _shortened(text: str) -> str:
    """Return the text, or its beginning and its end: a traceback has the text of the exception last."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"


def _json(value: object) -> str:
    return json.dumps(value, default=text_of, allow_nan=False)


def _readable(value: object) -> object:
    """Return the value, or its text if JSON cannot represent it: one that contains itself, or a NaN."""
    try:
        _json(value)
    except Exception:  # noqa: BLE001 - the user's values
        return text_of(value)
    return value


class BackgroundHandler(logging.Handler):
    """Writes records to the file descriptor of `output`, which may be a full pipe, a closed one or a stopped terminal.

    A worker that waits for its log would lose its leases.
    """

    def __init__(self, output: TextIO) -> None:
        super().__init__()
        self._descriptor = output.fileno()
        self._encoding = output.encoding
        self._lines: queue.Queue[str] = queue.Queue(_LIMIT)
        self._dropped = 0
        threading.Thread(target=self._write_all, name="codeq-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let the thread write the record, or drop it if too many wait already."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all is written, but not for longer than a second. Logging calls this at the end."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, _PATIENCE)

    def _write_all(self) -> None:
        """Write lines as long as the process lives; count those that were dropped meanwhile."""
        broken = False
        while True:
            text = self._lines.get() + "\n"
            dropped, self._dropped = self._dropped, 0
            if dropped:
                text += f"{dropped} lines of the log were dropped here, because they were not read\n"
            try:
                if not broken:
                    self._write(memoryview(text.encode(self._encoding, errors="backslashreplace")))
            except OSError:
                broken = True  # no reader is left
            self._lines.task_done()

    def _write(self, data: memoryview) -> None:
        # Not through a buffered stream: Python's end would wait for its lock.
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another process that has this output too made it non-blocking
                select.select([], [self._descriptor], [])
