"""The history of a store tells the races of a server from the faults of a client."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.client.laws_on_server.history import TaskHistory, read
from tests.client.laws_on_server.run import Left, problems_in


def line(at: float, *command: str) -> str:
    """A line of MONITOR, in which arguments are quoted as JSON does it for plain text."""
    return f"{at:.6f} [0 127.0.0.1:1] {' '.join(map(json.dumps, command))}\n"


def push(at: float) -> list[str]:
    return [line(at, "lpush", "codeq:q:x:pending:0", "t")]


def write(at: float, status: str, attempts: int) -> list[str]:
    return [line(at, "hset", "codeq:tasks", "t", json.dumps({"status": status, "attempts": attempts}))]


def pop(at: float) -> list[str]:
    return [line(at, "SADD", "codeq:q:x:inprog", "t")]


def claim(at: float, attempts: int) -> list[str]:
    return [*pop(at), line(at, "setex", "codeq:lease:t", "20", "worker"), *write(at, "IN_PROGRESS", attempts)]


def renew(at: float, attempts: int) -> list[str]:
    return [line(at, "expire", "codeq:lease:t", "20"), *write(at, "IN_PROGRESS", attempts)]


def end(at: float, by: str, delivery: int, attempts: int) -> list[str]:
    """A worker's result, and the end of the task, which had `attempts`."""
    result = json.dumps({"result": {"by": by, "attempts": delivery}})
    removed = line(at, "srem", "codeq:q:x:inprog", "t")
    return [line(at, "hset", "codeq:results", "t", result), *write(at, "COMPLETED", attempts), removed]


CREATED = [*write(0, "PENDING", 0), *push(0)]
CLAIMED = [*CREATED, *claim(1, 1)]


def history_of(*steps: Sequence[str]) -> TaskHistory:
    return read(["OK\n", *(text for step in steps for text in step)])["t"]


def completed(*deliveries: tuple[str, int]) -> list[Left]:
    return [Left(by, attempts, "completed", "") for by, attempts in deliveries]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([CLAIMED, end(2, "a", 1, 1)], [("a", 1)]),
        ([CLAIMED, renew(15, 1), end(30, "a", 1, 1)], [("a", 1)]),
        ([CLAIMED, write(30, "PENDING", 2), push(31), claim(32, 3), end(33, "b", 3, 3)], [("b", 3)]),
        ([CREATED, push(0), claim(1, 1), end(2, "a", 1, 1), claim(3, 2), end(4, "b", 2, 2)], [("a", 1), ("b", 2)]),
        (
            [
                CLAIMED,
                write(2, "PENDING", 2),
                push(3),
                push(3),
                claim(4, 3),
                end(5, "a", 1, 3),
                claim(6, 4),
                end(7, "b", 3, 4),
            ],
            [("a", 1), ("b", 3)],
        ),
    ],
    ids=["once", "renewed", "expired", "Z1", "Z3"],
)
def test_what_a_server_may_do_is_no_problem(steps: list[list[str]], left: list[tuple[str, int]]) -> None:
    assert problems_in(history_of(*steps), completed(*left)) == []


@pytest.mark.parametrize(
    ("steps", "left", "problem"),
    [
        (
            [CLAIMED, write(30, "PENDING", 2), push(31), claim(32, 3), end(33, "a", 1, 3)],
            [("a", 1)],
            "a sent a result of delivery 1 in delivery 3",
        ),
        (
            [CLAIMED, renew(25, 1), write(30, "PENDING", 2), push(31), claim(32, 3), end(33, "a", 1, 3)],
            [("a", 1)],
            "a sent a result of delivery 1 in delivery 3",
        ),
        ([CLAIMED, end(2, "a", 1, 1)], [("a", 1), ("a", 1)], "delivery 1 of a was completed twice"),
        (
            [CLAIMED, end(2, "a", 1, 1)],
            [("b", 3)],
            "b counts delivery 3 as completed, and the server has no result of it",
        ),
        ([CLAIMED, end(2, "a", 1, 1), renew(2, 1)], [("a", 1)], "its end in delivery 1 was undone by a renewal"),
    ],
    ids=["after the lease", "after the lease that was renewed too late", "twice", "not accepted", "renewed too late"],
)
def test_a_fault_of_the_client_is_a_problem(steps: list[list[str]], left: list[tuple[str, int]], problem: str) -> None:
    (found,) = problems_in(history_of(*steps), completed(*left))
    assert found.startswith(problem)


def test_a_task_in_no_place_is_lost() -> None:
    removed = [line(2, "srem", "codeq:q:x:inprog", "t")]
    delayed = [line(2, "zadd", "codeq:q:x:delayed", "3", "t")]
    assert not history_of(CREATED).is_lost
    assert not history_of(CREATED, pop(1)).is_lost
    assert history_of(CREATED, pop(1), removed).is_lost
    assert not history_of(CREATED, pop(1), removed, delayed).is_lost
    assert not history_of(CLAIMED, end(2, "a", 1, 1)).is_lost
