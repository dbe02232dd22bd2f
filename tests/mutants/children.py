"""Does jobs in forked processes, so that what a job does to the fake is gone with its process."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from codeq_contract.driver.clocks import RealClock
from codeq_contract.recordings.times import SECOND

_Name = TypeVar("_Name")

#: A job may wait for ever. It is ended after that many seconds, unless it sets another alarm itself.
PATIENCE = 60

#: The result of a job that was ended.
ENDED = "HANGS or dies"


def results(
    jobs: Mapping[_Name, Callable[[], Any]], seconds: float, processes: int | None = None
) -> Iterator[tuple[_Name, Any]]:
    """The result of each job, done in a forked process. After `seconds` no more of them begin."""
    gc.freeze()
    at_once = processes or os.cpu_count() or 1
    clock, waiting = RealClock(), [*jobs]
    running: dict[int, tuple[_Name, Path]] = {}
    end = clock.now() + seconds * SECOND
    with TemporaryDirectory() as folder:
        while running or (waiting and clock.now() < end):
            while waiting and len(running) < at_once and clock.now() < end:
                name = waiting.pop(0)
                file = Path(folder, str(len(waiting)))
                child = os.fork()
                if not child:
                    signal.alarm(PATIENCE)
                    _work(jobs[name], file)
                running[child] = (name, file)
            if running:
                child, _ = os.wait()
                name, file = running.pop(child)
                lines = file.read_text(encoding="utf-8") if file.exists() else ""
                yield name, json.loads(lines) if lines else ENDED


def _work(job: Callable[[], Any], file: Path) -> None:
    """Do the job in this child and end it."""
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - the parent prints it
        result = f"BROKEN: {type(error).__name__}: {error}"
    file.write_text(json.dumps(result), encoding="utf-8")
    os._exit(0)


def drawn(names: Iterable[str]) -> list[str]:
    """The names in an order that the commit draws."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    commit = done.stdout.strip()  # nothing outside a repository
    return sorted(names, key=lambda name: sha256(f"{commit} {name}".encode()).digest())
