"""Tracing (X1)."""

from __future__ import annotations

import re

import pytest

from tests.core.support import DONE, HOOK, Server

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def parts(trace_parent: str) -> tuple[str, str, str]:
    """Trace id, span id and flags."""
    match = TRACE_PARENT.fullmatch(trace_parent)
    assert match, trace_parent
    trace_id, span_id, flags = match.groups()
    return trace_id, span_id, flags


def test_x1_off_by_default_neither_field_exists() -> None:
    server = Server()
    task = server.create(trace_parent=GIVEN, trace_state="vendor=1")
    assert (task.trace_parent, task.trace_state) == ("", "")
    server.leased()
    assert task.trace_parent == ""


@pytest.mark.parametrize("flags", ["01", "00"])
def test_x1_a_create_stores_a_new_span_of_the_requests_trace(flags: str) -> None:
    server = Server(tracing_enabled=True)
    task = server.create(trace_parent=GIVEN[:-2] + flags, trace_state="vendor=1")
    trace_id, span_id, kept_flags = parts(task.trace_parent)
    assert (trace_id, kept_flags, task.trace_state) == (parts(GIVEN)[0], flags, "vendor=1")
    assert span_id != parts(GIVEN)[1]


@pytest.mark.parametrize("trace_parent", ["", "nonsense", "00---", "00-a-b", "a-b-c-d-e", "00--b-01", "00-a-b-"])
def test_x1_without_one_a_create_begins_a_trace(trace_parent: str) -> None:
    server = Server(tracing_enabled=True)
    first, second = (server.create(trace_parent=trace_parent) for _ in range(2))
    assert parts(first.trace_parent)[0] != parts(second.trace_parent)[0]
    assert parts(first.trace_parent)[2] == "01"


@pytest.mark.parametrize(
    "trace_parent",
    ["", "x", GIVEN.upper(), "ff" + GIVEN[2:], GIVEN[:-2] + "03", GIVEN + "-x", f"00-{'0' * 32}{GIVEN[35:]}"],
)
def test_x1_a_bad_parent_begins_a_trace_and_its_state_is_not_kept(trace_parent: str) -> None:
    task = Server(tracing_enabled=True).create(trace_parent=trace_parent, trace_state="vendor=1")
    assert parts(task.trace_parent)[0] not in trace_parent
    assert task.trace_state == ""


def test_x1_each_claim_stores_a_new_span_of_the_same_trace() -> None:
    server = Server(tracing_enabled=True)
    task = server.create(trace_parent=GIVEN)
    spans = [parts(task.trace_parent)]
    for _ in range(2):
        server.leased()
        spans.append(parts(task.trace_parent))
        server.broker.abandon(task.id, worker="w-1", now=server.now)
        assert parts(task.trace_parent) == spans[-1]
    assert {trace_id for trace_id, _, _ in spans} == {parts(GIVEN)[0]}
    assert len({span_id for _, span_id, _ in spans}) == 3


def test_x1_a_callback_carries_a_span_of_the_trace() -> None:
    server = Server(tracing_enabled=True)
    task = server.create(trace_parent=GIVEN, trace_state="vendor=1", webhook=HOOK)
    server.leased()
    server.submit(task, DONE)
    (due,) = server.tries()
    assert parts(due.trace_parent)[0] == parts(GIVEN)[0]
    assert parts(due.trace_parent)[1] != parts(task.trace_parent)[1]
    assert due.trace_state == "vendor=1"


def test_x1_off_a_callback_carries_none() -> None:
    server = Server()
    task = server.create(webhook=HOOK)
    server.leased()
    server.submit(task, DONE)
    assert server.tries()[0].trace_parent == ""
