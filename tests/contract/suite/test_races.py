"""The calls that show a race: found where it happened, and not where something else did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from codeq_contract.clauses import VERSIONS
from codeq_contract.driver import Exchange, Reply, Request
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.deviations import read_deviations
from codeq_contract.suite.deviations.races import calls_of

TASKS = "/v1/codeq/tasks"


def call(
    span: tuple[float, float], path: str, body: object, answer: tuple[int, Any], *, method: str = "POST"
) -> Exchange:
    content = b"" if answer[1] is None else json.dumps(answer[1]).encode()
    request = Request(method, path, "worker", json.dumps(body).encode())
    called, returned = (round(moment * SECOND) for moment in span)
    return Exchange(request, Reply(called, returned, answer[0], {}, content))


def create(at: float, until: float, task: str, **fields: object) -> Exchange:
    task_json = {"id": task, "command": "C", "priority": fields.get("priority", 0)}
    return call((at, until), TASKS, {"command": "C", **fields}, (202, task_json))


def claim(at: float, until: float, task: str = "", **fields: object) -> Exchange:
    answer = (200, {"id": task, "command": "C"}) if task else (204, None)
    return call((at, until), f"{TASKS}/claim", {"commands": ["C"], **fields}, answer)


def result(at: float, until: float, task: str, refusal: str = "") -> Exchange:
    answer = (409, {"error": refusal}) if refusal else (200, {})
    return call((at, until), f"{TASKS}/{task}/result", {}, answer)


def operation(at: float, until: float, task: str, name: str, refusal: str = "", **fields: object) -> Exchange:
    answer = (409, {"error": refusal}) if refusal else (200, {})
    return call((at, until), f"{TASKS}/{task}/{name}", fields, answer)


def read(at: float, until: float, task: str, status: str) -> Exchange:
    task_json = {"id": task, "command": "C", "status": status}
    return call((at, until), f"{TASKS}/{task}", {}, (200, task_json), method="GET")


def count(at: float, until: float, held: int, **others: int) -> Exchange:
    sizes = {"command": "C", "inProgress": held, **others}
    return call((at, until), "/v1/codeq/admin/queues/C", {}, (200, sizes), method="GET")


def nack(at: float, until: float, task: str, status: str, **fields: object) -> Exchange:
    return call((at, until), f"{TASKS}/{task}/nack", fields, (200, {"status": status}))


MOVERS = (claim(2, 3, "a"), claim(2.5, 3.5))
DELAYED = create(0, 1, "a", delaySeconds=2)
#: One of the two is empty, and a copy of the delayed task is left.
MOVED = (DELAYED, create(0, 1, "b"), claim(2, 3, "b"), claim(2.5, 3.5, "a"))


@pytest.mark.parametrize(
    ("race", "exchanges"),
    [
        ("Z1", [*MOVERS, result(4, 5, "a"), claim(6, 7, "a")]),
        ("Z1", [*MOVERS, nack(4, 5, "a", "dlq"), claim(6, 7, "a")]),
        ("Z1", [*MOVERS, nack(4, 5, "a", "requeued", delaySeconds=9), claim(6, 7, "a")]),
        ("Z1", [DELAYED, claim(2, 3), claim(2.5, 3.5), claim(4, 5, "a"), result(5, 6, "a"), claim(7, 8, "a")]),
        ("Z1", [*MOVED, count(4, 5, 2, ready=1)]),
        ("Z1", [*MOVED, result(4, 5, "a"), count(5, 6, 1, ready=1)]),
        ("Z3", [*MOVERS, result(4, 5, "a", "not-in-progress")]),
        ("Z3", [*MOVERS, operation(4, 5, "a", "heartbeat", "not-in-progress")]),
        ("Z3", [*MOVERS, claim(4, 5, "a")]),
        ("Z3", [*MOVERS, read(4, 5, "a", "PENDING")]),
        ("Z3", [*MOVERS, count(4, 5, 0)]),
        ("Z3", [*MOVERS, claim(4, 5, "b"), count(6, 7, 1)]),
        ("Z4", [create(0, 1, "a"), claim(2, 3), claim(2.5, 3.5)]),
        ("Z4", [create(0, 1, "a"), create(0, 1, "b"), claim(2, 3, "a"), claim(2.5, 3.5)]),
        ("Z4", [*MOVED, create(4, 5, "c"), claim(6, 7)]),
        ("Z4", [*MOVED, create(4, 5, "c", priority=5), create(4, 5, "d"), claim(6, 7, "d")]),
        ("Z5", [claim(0, 1, "a"), result(2, 4, "a"), result(3, 5, "a")]),
        ("Z6", [create(0, 2, "a", idempotencyKey="k"), create(1, 3, "b", idempotencyKey="k")]),
    ],
)
def test_a_race_is_shown_by_its_calls(race: str, exchanges: Sequence[Exchange]) -> None:
    shown = calls_of(race, exchanges)
    assert len(shown) >= 2
    assert set(map(id, shown)) <= set(map(id, exchanges))
    assert [each.reply.called for each in shown] == sorted(each.reply.called for each in shown)


@pytest.mark.parametrize(
    ("race", "exchanges"),
    [
        pytest.param("Z1", [*MOVERS, claim(6, 7, "a")], id="not finished"),
        pytest.param("Z1", [MOVERS[0], result(4, 5, "a"), claim(6, 7, "a")], id="no claim beside the first"),
        pytest.param("Z1", [*MOVERS, nack(4, 5, "a", "requeued", delaySeconds=2), claim(6, 7, "a")], id="due again"),
        pytest.param("Z1", [*MOVED, count(4, 5, 2, ready=0)], id="as many as there are"),
        pytest.param("Z1", [DELAYED, claim(2, 3, "a"), count(4, 5, 1, ready=1)], id="counted, after one claim alone"),
        pytest.param("Z1", [*MOVED[1:], count(4, 5, 1, ready=1)], id="counted, but nothing was due"),
        pytest.param("Z3", [MOVERS[0], result(4, 5, "a", "not-in-progress")], id="no claim beside it"),
        pytest.param(
            "Z3", [claim(2, 3, "a", leaseSeconds=1), MOVERS[1], result(4, 5, "a", "not-in-progress")], id="late"
        ),
        pytest.param("Z3", [*MOVERS, result(4, 5, "a"), result(6, 7, "a", "not-in-progress")], id="ended before"),
        pytest.param("Z3", [*MOVERS, result(4, 5, "a", "invalid")], id="refused for another reason"),
        pytest.param("Z3", [*MOVERS, operation(4, 5, "a", "nack"), claim(6, 7, "a")], id="given back"),
        pytest.param("Z3", [*MOVERS, operation(4, 5, "a", "abandon"), count(6, 7, 0)], id="given back before a count"),
        pytest.param(
            "Z3", [*MOVERS, operation(4, 5, "a", "heartbeat", extendSeconds=1), claim(7, 8, "a")], id="shortened"
        ),
        pytest.param("Z3", [*MOVERS, claim(3, 3, "a")], id="got by two claims at the same time"),
        pytest.param("Z3", [*MOVERS, read(4, 5, "a", "IN_PROGRESS"), count(6, 7, 1)], id="still there"),
        pytest.param(
            "Z3", [*MOVERS, claim(4, 5, "b"), count(6, 7, 0)], id="counted, more gone than claims beside others explain"
        ),
        pytest.param("Z4", [create(0, 1, "a", delaySeconds=9), claim(2, 3), claim(2.5, 3.5)], id="not due"),
        pytest.param("Z4", [create(0, 1, "a"), claim(2, 3)], id="one claim alone"),
        pytest.param("Z4", [DELAYED, claim(2, 3, "a"), create(4, 5, "c"), claim(6, 7)], id="alone, also before"),
        pytest.param("Z4", [*MOVED, create(4, 5, "c"), create(4, 5, "d"), claim(6, 7, "d")], id="of one priority"),
        pytest.param("Z4", [create(0, 1, "a"), claim(2, 3, "a"), claim(2.5, 3.5)], id="nothing left"),
        pytest.param("Z5", [result(2, 3, "a"), result(4, 5, "a")], id="one after the other"),
        pytest.param("Z5", [result(2, 4, "a"), result(3, 5, "b")], id="different tasks"),
        pytest.param(
            "Z6", [create(0, 1, "a", idempotencyKey="k"), create(2, 3, "b", idempotencyKey="k")], id="one after another"
        ),
        pytest.param("Z6", [create(0, 2, "a"), create(1, 3, "b")], id="no key"),
        pytest.param(
            "Z6", [create(0, 2, "a", idempotencyKey="k"), create(1, 3, "a", idempotencyKey="k")], id="one task"
        ),
    ],
)
def test_another_failure_is_no_race(race: str, exchanges: Sequence[Exchange]) -> None:
    assert calls_of(race, exchanges) == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_bound_is_far_from_the_rate_that_was_seen(version: str) -> None:
    for deviation in read_deviations(version):
        assert deviation.races
        assert 0 < deviation.at_most < deviation.tries
        assert deviation.false_alarm < 0.01, deviation
