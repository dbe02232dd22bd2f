"""Section 15: traces."""

from __future__ import annotations

import re
from typing import Any

import pytest

from codeq_contract.driver import TRACING
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BAD_PARENTS = [
    "",
    "x",
    TRACE,
    "00-x-00f067aa0ba902b7-01",
    f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE}-00f067aa0ba902b7-1",
    f"00-{TRACE}-00f067aa0ba902b7-04",
    f"00-{TRACE}-00f067aa0ba902b7-01-x",
    f"ff-{TRACE}-00f067aa0ba902b7-01",
]


@checks("X1.2", "X1.3", "X1.4", "X1.5", "X1.6")
@needs("tracing", "variants")
def test_a_task_keeps_its_trace_and_each_claim_has_a_span(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        command = server.command()
        caller = server.producer
        body = {"command": command, "payload": 1}
        given = caller.post(
            "/v1/codeq/tasks", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", tracestate="a=b"
        ).json
        first = server.worker.claimed(command)
        assert caller.seen(first)["traceParent"] == first["traceParent"]
        server.worker.abandon(first)
        second = server.worker.claimed(command)
        parents = [task["traceParent"] for task in (given, first, second)]
        assert all(re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", parent) for parent in parents), parents
        assert len({f"00-{TRACE}-00f067aa0ba902b7-01", *parents}) == 4
        assert [task["traceState"] for task in (given, first, second)] == ["a=b"] * 3
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", caller.created(command)["traceParent"])


@checks("X1.9")
@needs("tracing", "variants")
def test_a_bad_traceparent_begins_a_new_trace_without_a_state(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        for parent in BAD_PARENTS:
            body = {"command": server.command(), "payload": 1}
            task = server.producer.post("/v1/codeq/tasks", body, traceparent=parent, tracestate="a=b").json
            assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", task["traceParent"]), parent
            assert TRACE not in task["traceParent"], parent
            assert "traceState" not in task, parent


@checks("X1.10")
@needs("tracing", "variants")
def test_the_flags_sampled_and_random_begin_a_new_trace(contract: CaseContext) -> None:
    assert TRACE not in created_in_trace(contract, "00", "03")["traceParent"]


@checks("X1.11")
@needs("tracing", "variants")
@pytest.mark.parametrize(("version", "flags", "kept"), [("00", "02", "02"), ("00", "03", "03"), ("01", "ff", "03")])
def test_the_flags_sampled_and_random_are_kept(contract: CaseContext, version: str, flags: str, kept: str) -> None:
    assert is_part(created_in_trace(contract, version, flags), kept)


@checks("X1.12")
@needs("tracing", "variants")
@pytest.mark.parametrize(
    ("version", "flags", "kept"), [("00", "00", "00"), ("00", "02", "00"), ("01", "03", "01"), ("cc", "fe", "00")]
)
def test_only_the_flag_sampled_is_kept(contract: CaseContext, version: str, flags: str, kept: str) -> None:
    assert is_part(created_in_trace(contract, version, flags), kept)


@checks("X1.13")
@needs("tracing", "variants")
@pytest.mark.parametrize("rest", ["-", "-x-y"])
def test_a_traceparent_of_a_later_version_may_go_on_after_its_flags(contract: CaseContext, rest: str) -> None:
    assert is_part(created_in_trace(contract, "01", f"01{rest}"), "01")


def created_in_trace(contract: CaseContext, version: str, flags: str) -> dict[str, Any]:
    """A task that is created in a trace with these flags, on a server with tracing."""
    with contract.server(TRACING) as server:
        body = {"command": server.command(), "payload": 1}
        headers = {"traceparent": f"{version}-{TRACE}-00f067aa0ba902b7-{flags}"}
        task: dict[str, Any] = server.producer.post("/v1/codeq/tasks", body, **headers).json
        return task


def is_part(task: dict[str, Any], flags: str) -> bool:
    """Whether the task is part of the trace, with these flags."""
    return re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-{flags}", task["traceParent"]) is not None


@checks("X1.1")
@needs("known_settings")
def test_without_tracing_a_task_has_no_trace(contract: CaseContext) -> None:
    body = {"command": contract.command(), "payload": 1}
    task = contract.producer.post("/v1/codeq/tasks", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01").json
    assert not task.keys() & {"traceParent", "traceState"}
