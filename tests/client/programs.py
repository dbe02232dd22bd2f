"""Programs that the tests of the client run, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from codeq_client import SystemClock

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def program(
    command: Sequence[str | Path], *, env: Mapping[str, str], log: Path | str = os.devnull, cwd: Path = REPOSITORY
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, with its errors in `log`. End it at the end, also if the test failed before: it may never end."""
    with Path(log).open("w") as stderr, subprocess.Popen(command, env=env, cwd=cwd, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.terminate()  # `--reload` ends its worker, which a killed one would leave behind
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until(condition: Callable[[], bool], within: float) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + within
    while not condition():
        assert clock.monotonic() < deadline, "it takes too long"
        clock.sleep_blocking(0.05)
