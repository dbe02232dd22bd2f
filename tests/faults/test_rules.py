"""Rules: an invalid one is refused at once, with the field and what is allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from codeq_fake import faults
from codeq_fake.core.times import SECOND
from codeq_fake.faults import BadFaultError, Rule, read_rules
from codeq_fake.faults.parsing import named, rule_of, shown
from codeq_fake.faults.rule import CALLBACK, KINDS, NOTICE, REQUEST
from codeq_fake.http import OPERATIONS
from codeq_fake.http.faults.matching import NAMES

EXAMPLES = [
    faults.drop_reply(on="complete", times=1),
    faults.refuse(429, body={"a": 1}, headers={"X-A": "1"}, retry_after=3, worker="w-1"),
    faults.reset(command="A", nth=2),
    faults.delay(0.5, task="t"),
    faults.hang(probability=0.5, seed=7),
    faults.garble("malformed"),
    faults.expire_lease(on="heartbeat"),
    faults.undo_end(worker="w-1"),
    faults.clock_skew(-2),
    faults.callback_lost(),
    faults.callback_twice(on="notice"),
    faults.callback_late(3, command="A"),
    *faults.observed_races(),
]


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ({}, "do is missing; known are drop_reply, refuse, reset"),
        ({"do": "drop"}, "do: there is no kind 'drop'; known are drop_reply, refuse, reset"),
        ({"do": "reset", "tims": 1, "x": 2}, "unknown: tims, x; known are do, on, worker, command, task, nth, times"),
        ({"do": "reset", "nth": 0}, "nth: found 0, it counts from 1"),
        ({"do": "reset", "times": -1}, "times: found -1, it counts from 1"),
        ({"do": "reset", "times": True}, "times: found True, a whole number belongs here"),
        ({"do": "reset", "nth": 1.5}, "nth: found 1.5, a whole number belongs here"),
        ({"do": "reset", "probability": 1.1}, "probability: found 1.1, it lies between 0 and 1"),
        ({"do": "reset", "probability": float("nan")}, "probability: found nan, it lies between 0 and 1"),
        ({"do": "reset", "probability": "1"}, "probability: found '1', a number belongs here"),
        ({"do": "reset", "seed": "x"}, "seed: found 'x', a whole number belongs here"),
        ({"do": "reset", "worker": 7}, "worker: found 7, a text belongs here"),
        ({"do": "reset", "on": ["claim"]}, "on: found ['claim'], a text belongs here"),
        ({"do": "reset", "seconds": 1}, "seconds: reset takes no further argument"),
        ({"do": "delay", "status": 500}, "status: delay takes seconds"),
        ({"do": "delay"}, "seconds: found None, delay needs a number from 0 to 1000000000"),
        ({"do": "delay", "seconds": -1}, "seconds: found -1, delay needs a number from 0 to 1000000000"),
        ({"do": "clock_skew", "seconds": 1e10}, "clock_skew needs a number from -1000000000 to 1000000000"),
        ({"do": "callback_late", "seconds": float("inf")}, "callback_late needs a number from 0"),
        ({"do": "refuse", "status": 99}, "status: found 99, it lies between 200 and 599"),
        ({"do": "refuse", "retryAfter": -1}, "retryAfter: found -1, it is not negative"),
        ({"do": "refuse", "headers": {"a b": "c"}}, "headers: 'a b': 'c' is not a header"),
        ({"do": "refuse", "headers": {"a": "b\r\nc"}}, "headers: 'a': 'b\\r\\nc' is not a header"),
        ({"do": "refuse", "headers": {"Content-Length": "9"}}, "headers: Content-Length is set by the server"),
        ({"do": "refuse", "headers": {"a": 1}}, "headers: found {'a': 1}, an object of texts belongs here"),
        ({"do": "garble", "how": "well"}, "how: found 'well', known are cut and malformed"),
        ("reset", "found 'reset' where a rule such as {on: complete, do: drop_reply} belongs"),
    ],
)
def test_an_invalid_rule_is_refused(rule: Any, refusal: str) -> None:
    with pytest.raises(BadFaultError) as refused:
        rule_of(rule)
    assert refusal in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        (Rule("reset", on="complet"), "on: 'complet' is not an operation or a route; known are claim, create, submit"),
        (Rule("reset", on="GET /v1/codeq/tasks"), "'GET /v1/codeq/tasks' is not an operation or a route"),
        (Rule("reset", on="request"), "'request' is not an operation or a route"),
        (Rule("reset", on="callback"), "on: reset cannot happen on callback, only on abandon, claim"),
        (
            Rule("callback_lost", on="claim"),
            "callback_lost cannot happen on claim, only on callback, notice",
        ),
        (
            Rule("false_empty", on="create"),
            "false_empty cannot happen on create, only on claim, claim_batch",
        ),
        (Rule("lose_task", on="metrics"), "lose_task cannot happen on metrics, only on abandon, claim"),
        (Rule("reset", on="claim", task="1"), "task: a claim does not say which task it will get; give command"),
    ],
    ids=str,
)
def test_an_unknown_or_impossible_name_is_refused(rule: Rule, refusal: str) -> None:
    with pytest.raises(BadFaultError) as refused:
        named(rule, NAMES)
    assert refusal in str(refused.value)


@pytest.mark.parametrize("condition", ["on", "worker", "command", "task"])
def test_a_condition_that_is_no_text_is_refused_because_nothing_would_match(condition: str) -> None:
    with pytest.raises(BadFaultError, match=f"{condition}: found 5, a text belongs here"):
        Rule("reset", **{condition: 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", EXAMPLES, ids=str)
def test_a_rule_survives_being_written_and_read(rule: Rule) -> None:
    assert rule_of(shown(rule)) == rule
    assert named(rule, NAMES) == rule


def test_there_is_a_function_for_each_kind() -> None:
    assert {rule.do for rule in EXAMPLES} == set(KINDS)
    assert set(KINDS) <= set(faults.__all__)


def test_kinds_name_only_existing_occasions() -> None:
    there = {*NAMES.values(), REQUEST, CALLBACK, NOTICE}
    assert {operation.name for operation in OPERATIONS} <= there
    for kind in KINDS.values():
        assert kind.on | kind.only <= there


@pytest.mark.parametrize(
    "text",
    [
        "- {on: complete, do: drop_reply, times: 1}\n- do: refuse\n  retryAfter: 2",
        "faults:\n  - {on: complete, do: drop_reply, times: 1}\n  - {do: refuse, retryAfter: 2, worker: null}",
        '[{"on": "complete", "do": "drop_reply", "times": 1}, {"do": "refuse", "retryAfter": 2}]',
    ],
)
def test_a_file_is_yaml_or_json_although_yaml_reads_on_as_true(text: str) -> None:
    assert read_rules(text, NAMES) == [Rule("drop_reply", on="complete", times=1), Rule("refuse", retry_after=2)]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("[", "no YAML or JSON: line 1: expected the node content"),
        ("do: reset", "give a list of rules, such as [{on: complete, do: drop_reply, times: 1}]"),
        ("", "give a list of rules"),
        ("[]", "give a list of rules"),
        ("faults: []", "give a list of rules"),
        ("- {do: reset}\n- {do: rest}", "rule 2: do: there is no kind 'rest'"),
        ("- {do: reset, on: clam}", "rule 1: on: 'clam' is not an operation"),
    ],
)
def test_a_file_without_valid_rules_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(BadFaultError) as refused:
        read_rules(text, NAMES)
    assert refusal in str(refused.value)


@pytest.mark.parametrize("length", [90, 90.0, "90", "1m 30s", timedelta(seconds=90)], ids=repr)
def test_a_length_of_time_is_written_as_people_write_it(length: float | str | timedelta) -> None:
    for rule in (faults.delay(length), faults.callback_late(length), faults.clock_skew(length)):
        assert rule.duration == 90 * SECOND
    for behind in (timedelta(seconds=-1), -1, "-1", "-1s", "-0.5s"):
        assert faults.clock_skew(behind).duration in (-SECOND, -SECOND // 2)
    with pytest.raises(BadFaultError, match="delay needs a number from 0"):
        faults.delay("-1s")
    with pytest.raises(BadFaultError, match="'soon' is not a duration"):
        faults.delay("soon")
