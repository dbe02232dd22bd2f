"""What runs in the process of a handler with `pool="process"`: it receives calls and sends what became of them."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any, Literal, TypeAlias

from codeq_client.errors import HandlerProcessError

from .cancellation import text_of
from .descendants import kill_descendants
from .job import Job, TaskLogger, current_task, log_fields
from .outcomes import Fail

# Windows lacks one of them.
_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

MessageKind: TypeAlias = Literal["progress", "log", "returned", "raised"]
"""What a process sends: any number of the first two, then one of the others."""


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """One call of a handler's function."""

    function: Callable[..., Any]
    takes_context: bool
    job: Job[Any]


class ProcessContext:
    """What a handler in a process gets in place of a `TaskContext`. It need not check its lease: it is killed.

    `log` is a logger that adds task id, command and attempts; the worker's process writes the records.
    """

    def __init__(self, job: Job[Any], send: Callable[[MessageKind, object], None]) -> None:
        self.log = TaskLogger(logging.getLogger("codeq_client.task"), log_fields(job.task))
        self._send = send

    def progress(self) -> None:
        """Report progress, for a handler or worker with a `stall` limit."""
        self._send("progress", None)


class _LogSender(QueueHandler):
    """Sends log records to the worker's process."""

    def __init__(self, send: Callable[[MessageKind, object], None]) -> None:
        super().__init__(queue=None)  # type: ignore[arg-type]  # `enqueue` does without
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        self._send("log", record)


class _Sender:
    """Sends messages, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: MessageKind, value: object) -> None:
        """Send one message; raises what pickle raises for a value that it cannot take."""
        message = pickle.dumps((kind, value))
        with self._lock:
            self._connection.send_bytes(message)


def serve(connection: Connection, log_level: int) -> None:
    """Carry out calls, one after the other, until the worker's process closes the connection."""
    _stay_until_killed()
    sender = _Sender(connection)
    logging.root.setLevel(log_level)
    logging.root.addHandler(_LogSender(sender.send))
    while True:
        try:
            received = connection.recv_bytes()
        except EOFError:
            return
        _answer(received, sender)


def _answer(received: bytes, sender: _Sender) -> None:
    """Carry out one call, and send what the function returned or raised."""
    try:
        call: HandlerCall = pickle.loads(received)  # noqa: S301 - from the worker's own process
        current_task.set(call.job.task)
        context = [ProcessContext(call.job, sender.send)] if call.takes_context else []
        returned = call.function(call.job, *context)
    except BaseException as error:  # noqa: BLE001 - the user's code
        sender.send("raised", _portable(error))
        return
    try:
        sender.send("returned", returned)
    except Exception as error:  # noqa: BLE001 - pickle raises many
        sender.send("raised", Fail(f"the result cannot leave the handler's process: {text_of(error)}"))


def _portable(error: BaseException) -> BaseException:
    """Return the error, or a `HandlerProcessError` with its text if pickle cannot take it. Its traceback is a note."""
    note = f"in the handler's process:\n{''.join(traceback.format_exception(error))}"
    try:
        portable: BaseException = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - pickle raises many
        portable = HandlerProcessError(f"{type(error).__name__}: {text_of(error)}")
    portable.add_note(note)
    return portable


def _stay_until_killed() -> None:
    """Leave it to the worker when this process ends: signals to the whole group or service only stop the worker.

    The process leads a group, which the worker kills as a whole, with all that the handler started.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, _ignore_signal)
    if hasattr(os, "setsid"):
        os.setsid()
        os.register_at_fork(after_in_child=_restore_signals)
    threading.Thread(target=_end_with_worker, name="codeq-parent", daemon=True).start()


def _ignore_signal(_number: int, _frame: object) -> None:
    """Unlike SIG_IGN, this is not inherited by the programs that a handler starts."""


def _restore_signals() -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _end_with_worker() -> None:
    """End this process and all that it started when the worker's process has ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    if hasattr(os, "killpg"):
        kill_descendants(os.getpid())
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
