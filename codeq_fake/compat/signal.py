"""Whether a signal handler of the program may interrupt this thread."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # it has no stubs
import signal
import threading
from collections.abc import Callable

#: The signals that programs and test tools handle, such as those of time limits. Windows has two of them.
_NUMBERS = [
    signal.Signals[name].value
    for name in ("SIGALRM", "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if name in signal.Signals.__members__
]


def may_interrupt() -> bool:
    """Whether a signal handler may run in this thread, between any two steps, and the program goes on after it."""
    if threading.current_thread() is not threading.main_thread():
        return False
    # The public function makes an enum of most answers: for six signals, a twentieth of a request.
    handlers = map(_signal.getsignal, _NUMBERS)
    return any(callable(handler) and not _is_final(handler) for handler in handlers)


def _is_final(handler: Callable[..., object]) -> bool:
    """Whether it ends the program, like the handler of Ctrl-C, or the test."""
    return handler is signal.default_int_handler or getattr(handler, "__module__", "") == "pytest_timeout"
