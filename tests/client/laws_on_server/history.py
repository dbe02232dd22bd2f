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
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

_ENDED = {"COMPLETED", "FAILED"}
_LEASE = "codeq:lease:"
_PENDING, _IN_PROGRESS, _DELAYED = ":pending:0", ":inprog", ":delayed"
_ROUNDING = 1.0  # a lease may end half a second early (K8), and the store writes a little later than the server looks
_LAST = b"ECHO the-run-is-over\r\n"
_NAMES = re.compile(r'\] "(lpush|sadd|srem|zadd|zrem|setex|expire|hset)" ', re.IGNORECASE)
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
        self._places: Counter[str] = Counter()
        """How often the id is in each place from which a task is delivered."""
        self._has_ended = False
        self._lease_end = 0.0
        self._revoked: set[int] = set()

    @property
    def revoked(self) -> int:
        """How many deliveries lost a lease that ran (Z3)."""
        return len(self._revoked)

    @property
    def is_lost(self) -> bool:
        """Whether the server will never deliver the task, which has not ended (Z2)."""
        return not self._has_ended and not any(self._places.values())

    def came_to(self, place: str) -> None:
        """Note that the id was put into a place. It may be pending several times, and elsewhere once."""
        if place == _IN_PROGRESS:
            self._places[_PENDING] -= 1
        self._places[place] = self._places[place] + 1 if place == _PENDING else 1

    def left(self, place: str) -> None:
        """Note that the id was taken from a place."""
        self._places[place] = 0

    def leased(self, at: float, seconds: float) -> None:
        """Note that a lease of so many seconds begins."""
        self._lease_end = at + seconds

    def renewed(self, at: float, seconds: float) -> None:
        """Note that the lease runs for `seconds` from now on, if it has not ended (H3)."""
        if at < self._lease_end:
            self._lease_end = at + seconds

    def written(self, at: float, status: str, attempts: int) -> None:
        """Note the task's new status and attempts."""
        if status == "IN_PROGRESS" and attempts > self._attempts:
            self.returned += self._has_ended
            self._has_ended = False
        elif status == "IN_PROGRESS" and self._status in _ENDED:
            self.problems.append(f"its end in delivery {attempts} was undone by a renewal at the same moment")
        is_requeued = (self._status, status) == ("IN_PROGRESS", "PENDING") and attempts > self._attempts  # N5
        if is_requeued and self._lease_end - at > _ROUNDING:
            self._revoked.add(self._attempts)
        if status != "IN_PROGRESS":
            self._lease_end = 0.0
        self._status, self._attempts = status, attempts
        self._has_ended = self._has_ended or status in _ENDED

    def stored(self, by: str, attempts: int) -> None:
        """Note a stored result, of that worker and delivery."""
        self.results.append((by, attempts))
        if attempts in self._revoked:
            self._revoked.add(self._attempts)  # this result ends the task before the lease of the present delivery
        elif attempts != self._attempts:
            self.problems.append(f"{by} sent a result of delivery {attempts} in delivery {self._attempts}")


def read(lines: Iterable[str]) -> dict[str, TaskHistory]:
    """Return the history of each task, from the output of MONITOR."""
    histories: dict[str, TaskHistory] = defaultdict(TaskHistory)
    for line in lines:
        match _command_of(line):
            case ["lpush", queue, task_id] if queue.endswith(_PENDING):
                histories[task_id].came_to(_PENDING)
            case ["sadd", queue, task_id] if queue.endswith(_IN_PROGRESS):
                histories[task_id].came_to(_IN_PROGRESS)
            case ["zadd", queue, _, task_id] if queue.endswith(_DELAYED):
                histories[task_id].came_to(_DELAYED)
            case ["srem" | "zrem", queue, task_id] if queue.endswith((_IN_PROGRESS, _DELAYED)):
                histories[task_id].left(_IN_PROGRESS if queue.endswith(_IN_PROGRESS) else _DELAYED)
            case ["setex", key, seconds, _] if key.startswith(_LEASE):
                histories[key.removeprefix(_LEASE)].leased(_time_of(line), float(seconds))
            case ["expire", key, seconds] if key.startswith(_LEASE):
                histories[key.removeprefix(_LEASE)].renewed(_time_of(line), float(seconds))
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
    name, *arguments = (ast.literal_eval(f"b{quoted}").decode(errors="replace") for quoted in _QUOTED.findall(line))
    return [name.lower(), *arguments]


def _time_of(line: str) -> float:
    return float(line.split(maxsplit=1)[0])
