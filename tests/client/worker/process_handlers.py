"""Handlers for the tests of processes: these find the functions by name, so they are in a module."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from codeq_client import Complete, Fail, Job, ProcessContext, Registry, Retry, SystemClock, current_task
from codeq_client.errors import TaskNotFound

registry = Registry()
logging.getLogger("codeq_client.task").setLevel(logging.INFO)


class Unportable(Exception):
    """An exception that pickle cannot take."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def echo(job: Job[Any], task: ProcessContext) -> Any:
    task.log.info("returning %s", job.payload)
    return job.payload


def process_id(_job: Job[Any]) -> int:
    return os.getpid()


def task_id(_job: Job[Any]) -> str | None:
    task = current_task.get()
    return task.id if task else None


def artifacts(_job: Job[Any]) -> Complete:
    return Complete({"a": 1})


def retry(_job: Job[Any]) -> NoReturn:
    raise Retry(30, "busy")


def fail(_job: Job[Any]) -> NoReturn:
    raise Fail("no such master")


def bug(_job: Job[Any]) -> NoReturn:
    raise KeyError("k")


def not_found(_job: Job[Any]) -> NoReturn:
    raise TaskNotFound("not-found", status=404)


def unportable(_job: Job[Any]) -> NoReturn:
    raise Unportable("one", "two")


def no_pickle(_job: Job[Any]) -> Any:
    return lambda: None


def leave(_job: Job[Any]) -> NoReturn:
    sys.exit("no licence")


@registry.handler("CRASH", pool="process")
def crash(_job: Job[Any]) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def stray_signal(_job: Job[Any]) -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "still here"


@registry.handler("STEPS", pool="process")
def steps(_job: Job[Any], task: ProcessContext) -> int:
    for _ in range(3):
        task.progress()
    return os.getpid()


@registry.handler("HANG", pool="process")
def hang(job: Job[str]) -> None:
    """Write the ids of this process and of two that it starts, one in a separate session, and hang."""
    command = ["sleep", "60"]
    started = [subprocess.Popen(command), subprocess.Popen(command, start_new_session=True)]
    Path(job.payload).write_text(f"{os.getpid()} {started[0].pid} {started[1].pid}")
    SystemClock().sleep_blocking(60)
