"""The history of each task at the server, as its store saw it: claims, lost leases, results and ends.

Workers with one token count as one holder (H2), so the server stores what a worker sends after its lease. Only the
history tells that from the races of the server, which it does by accident (Z1, Z3).
"""

from __future__ import annotations

import ast
import json
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_ENDED = {"COMPLETED", "FAILED"}
_ROUNDING = 1.0  # a lease may end half a second early (K8), and the store writes a little later than the server looks
_LAST = b"ECHO the-run-is-over\r\n"
_NAMES = re.compile(r'\] "(lpush|setex|expire|hset)" ')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Monitor:
    """Writes all commands of a Redis to a file, in their order, until `close`."""

    def __init__(self, port: int, file: Path) -> None:
        self._address = ("127.0.0.1", port)
        self._file = file
        self._connection = socket.create_connection(self._address)
        self._connection.sendall(b"MONITOR\r\n")
        self._copying = threading.Thread(target=self._copy, daemon=True)
        self._copying.start()

    def _copy(self) -> None:
        with self._connection.makefile("rb") as lines, self._file.open("wb") as file:
            for line in lines:
                if b"the-run-is-over" in line:
                    return
                file.write(line)

    def close(self) -> None:
        """Return when all that the store did before is in the file."""
        with socket.create_connection(self._address) as last:
            last.sendall(_LAST)
            self._copying.join(30)
        self._connection.close()


class TaskHistory:
    """What happened to one task. Its methods are called in the order of the commands."""

    def __init__(self) -> None:
        self.results: list[tuple[str, int]] = []
        """The worker and the delivery of each stored result. The attempts (K5) number the deliveries."""
        self.returned = 0
        """How often the task was delivered after its end (Z1)."""
        self.problems: list[str] = []
        self._status = "PENDING"
        self._attempts = 0
        self._has_ended = False
        self._copies = 0  # of its id in the pending list
        self._lease_end = 0.0
        self._revoked: set[int] = set()

    @property
    def revoked(self) -> int:
        """How many deliveries lost a lease that ran (Z3)."""
        return len(self._revoked)

    def pushed(self) -> None:
        """Note that the id was put into the pending list."""
        self._copies += 1

    def leased(self, at: float, seconds: float) -> None:
        """Note that the lease runs for `seconds` from now on."""
        self._lease_end = at + seconds

    def written(self, at: float, status: str, attempts: int) -> None:
        """Note the task's new status and attempts."""
        if status == "IN_PROGRESS" and attempts > self._attempts:
            self._claimed(attempts)
        is_requeued = (self._status, status) == ("IN_PROGRESS", "PENDING") and attempts > self._attempts  # N5
        if is_requeued and self._lease_end - at > _ROUNDING:
            self._revoked.add(self._attempts)
        self._status, self._attempts = status, attempts
        self._has_ended = self._has_ended or status in _ENDED

    def _claimed(self, attempts: int) -> None:
        if self._has_ended:
            self._has_ended = False
            self.returned += 1
            if self._copies < 1:
                self.problems.append(f"delivery {attempts} follows the end of the task, whose id was not pushed twice")
        self._copies -= 1

    def stored(self, by: str, attempts: int) -> None:
        """Note a stored result, of that worker and delivery."""
        self.results.append((by, attempts))
        if attempts != self._attempts and attempts not in self._revoked:
            self.problems.append(f"{by} sent a result of delivery {attempts} in delivery {self._attempts}")


def read(lines: Iterable[str]) -> dict[str, TaskHistory]:
    """Return the history of each task, from the output of MONITOR."""
    histories: dict[str, TaskHistory] = defaultdict(TaskHistory)
    for line in lines:
        match _command_of(line):
            case ["lpush", queue, task_id] if ":pending:" in queue:
                histories[task_id].pushed()
            case ["setex" | "expire", key, seconds, *_] if key.startswith("codeq:lease:"):
                histories[key.removeprefix("codeq:lease:")].leased(_time_of(line), float(seconds))
            case ["hset", "codeq:tasks", task_id, text]:
                task = json.loads(text)
                histories[task_id].written(_time_of(line), task["status"], task.get("attempts", 0))
            case ["hset", "codeq:results", task_id, text]:
                result = json.loads(text)["result"]
                histories[task_id].stored(result["by"], result["attempts"])
            case _:
                pass
    return histories


def _command_of(line: str) -> list[str]:
    """Return a command and its arguments; nothing for commands that are of no interest."""
    if not _NAMES.search(line):
        return []
    return [ast.literal_eval(f"b{quoted}").decode(errors="replace") for quoted in _QUOTED.findall(line)]


def _time_of(line: str) -> float:
    return float(line.split(maxsplit=1)[0])
