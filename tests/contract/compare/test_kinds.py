"""Kinds of differences: which of them are known."""

from __future__ import annotations

import pytest

from codeq_contract.compare.kinds import Kind, known_as

HEARTBEAT, NACK = (f"POST /v1/codeq/tasks/:id/{name}" for name in ("heartbeat", "nack"))
CALLER = "worker without subject"


@pytest.mark.parametrize("status", ["status 200 and 403", "status 403 and 200"])
def test_the_heartbeat_of_a_worker_without_subject_is_a_known_difference(status: str) -> None:
    assert "H2" in known_as(Kind(HEARTBEAT, (status, "body.ok", "body.error")), CALLER)


@pytest.mark.parametrize(
    ("route", "place", "caller"),
    [
        pytest.param(HEARTBEAT, "status 200 and 500", CALLER, id="another status"),
        pytest.param(HEARTBEAT, "body.ok", CALLER, id="the same status"),
        pytest.param(HEARTBEAT, "status 200 and 403", "worker", id="another caller"),
        pytest.param(NACK, "status 200 and 403", CALLER, id="another route"),
    ],
)
def test_another_difference_is_not_known(route: str, place: str, caller: str) -> None:
    assert known_as(Kind(route, (place,)), caller) == ""
