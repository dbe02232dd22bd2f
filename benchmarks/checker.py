"""The cost of `codeq-contract check` on a long history, and how it grows with the length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from codeq_contract.recordings.files import recording_text
from codeq_contract.recordings.format import Header, Identity, Recording

from .rows import under

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .effort import Effort
    from .rows import Row

_CHECK = (sys.executable, "-m", "codeq_contract", "check")
_CALLS_OF_A_TASK = 4
_SHORTER = 10
_WAITING = 500
_EPOCH = 1_800_000_000 * 10**9


def measure(effort: Effort) -> list[Row]:
    """The rows. Each check is a process, whose CPU seconds and memory the system counts."""
    seconds, kilobytes = _check(effort.checked)
    shorter_seconds, _ = _check(effort.checked // _SHORTER)
    calls = f"{effort.checked:,} calls"
    return [
        under(effort.checked * 60e-6, f"codeq-contract check of {calls}", seconds, " s", remark="CPU time"),
        under(1, "memory of a check for each call", kilobytes / effort.checked, " KB", remark=f"of {calls}"),
        under(
            1.5,
            f"time for a call of {calls} against one of {effort.checked // _SHORTER:,}",
            seconds / shorter_seconds / _SHORTER,
        ),
    ]


def _check(calls: int) -> tuple[float, float]:
    """The CPU seconds of a check, and its largest size in KB."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "history.jsonl"
        with file.open("w", encoding="utf-8") as history:
            history.writelines(_lines(calls // _CALLS_OF_A_TASK))
        process = subprocess.Popen((*_CHECK, str(file)), stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"codeq-contract check ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def _lines(tasks: int) -> Iterator[str]:
    """A history of tasks that are created, claimed, kept by a heartbeat and completed, while some hundreds wait."""
    identities = {kind: Identity(kind, {"sub": kind[0], "tenantId": "acme"}) for kind in ("producer", "worker")}
    yield recording_text(Recording(Header("bench", "redis", _EPOCH, {}, identities=identities), (), ()))
    for number in range(tasks):
        task_id, created = f"{number:08x}-0000-4000-8000-000000000000", "2027-01-15T05:00:00.123456789-03:00"
        waiting = _task(task_id, created, '"status":"PENDING","lastKnownLocation":"PENDING_LIST"')
        held = _task(task_id, created, '"status":"IN_PROGRESS","workerId":"w","attempts":1')
        record = f'{{"taskId":"{task_id}","status":"FAILED","error":"e","completedAt":"{created}"}}'
        first, claimed = _CALLS_OF_A_TASK * number, number + _WAITING
        yield _call(first, number, "producer", "", '{"command":"A","payload":{"n":1}}', 202, waiting)
        yield _call(first + 1, claimed, "worker", "/claim", '{"commands":["A"],"leaseSeconds":30}', 200, held)
        beat = '{"extendSeconds":30}'
        yield _call(first + 2, claimed + 1, "worker", f"/{task_id}/heartbeat", beat, 200, '{"ok":true}')
        end = '{"status":"FAILED","error":"e"}'
        yield _call(first + 3, claimed + 2, "worker", f"/{task_id}/result", end, 200, record)


def _task(task_id: str, created: str, state: str) -> str:
    return (
        f'{{"id":"{task_id}","command":"A","payload":"{{\\"n\\":1}}",{state},"maxAttempts":5,"tenantId":"acme",'
        f'"createdAt":"{created}","updatedAt":"{created}"}}'
    )


def _call(number: int, at: int, caller: str, path: str, body: str, status: int, reply: str) -> str:  # noqa: PLR0917 - a line of the file
    """A line of a recording. Each call takes 5 ms."""
    quoted_body, quoted_reply = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (body, reply))
    return (
        f'{{"kind":"call","n":{number},"t0":{at}.01,"t1":{at}.015,"as":"{caller}","method":"POST",'
        f'"path":"/v1/codeq/tasks{path}","headers":{{}},"body":"{quoted_body}","status":{status},'
        f'"reply_headers":{{"content-type":"application/json"}},"reply":"{quoted_reply}"}}\n'
    )
