"""A correct server never violates a law, however long its calls take and whichever replies are lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_contract.checker import CheckResult, Validity, check
from tests.contract.checker.support import WORKERS, Step, drive

PROFILES = ("redis", "kvrocks-2.8", "kvrocks-2.9", "main/redis", "main/pebble")
POLICIES = ("fixed", "linear", "exponential", "exp_equal_jitter", "exp_full_jitter")

# Weighted: a history in which nothing is held proves nothing.
CALLS = (
    *("create", "create", "create", "delayed", "keyed"),
    *("claim", "claim", "claim", "claim", "claims"),
    *("heartbeat", "heartbeat", "abandon", "nack", "nack", "result", "result", "results", "read"),
)


def steps(*, lost: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Step]]:
    step = st.builds(
        Step,
        what=st.sampled_from(CALLS),
        worker=st.sampled_from(WORKERS),
        task=st.integers(-3, 3),
        number=st.integers(0, 5),
        seconds=st.integers(1, 4),
        wait=st.sampled_from((0, 0, 1, 200, 700, 2500)),
        before=st.sampled_from((0, 1, 40, 600, 3000)),
        after=st.sampled_from((0, 1, 40, 600, 3000)),
        lost=lost,
    )
    return st.lists(step, min_size=30, max_size=70)


def explain(report: CheckResult) -> str:
    return "\n".join(f"{law}: {violation.message}: {violation.events}" for law, violation in report.violations)


@pytest.mark.slow
@given(steps=steps(lost=st.just(value=False)), profile=st.sampled_from(PROFILES), policy=st.sampled_from(POLICIES))
@settings(max_examples=40)
def test_a_right_history_is_valid(steps: list[Step], profile: str, policy: str) -> None:
    report = check(drive(steps, profile=profile, settings={"BACKOFF_POLICY": policy}))
    assert report.validity is Validity.VALID, explain(report)


@pytest.mark.slow
@given(steps=steps(lost=st.sampled_from((False,) * 9 + (True,))), profile=st.sampled_from(PROFILES))
@settings(max_examples=25)
def test_a_right_history_without_some_replies_is_not_violated(steps: list[Step], profile: str) -> None:
    report = check(drive(steps, profile=profile))
    assert report.validity is not Validity.VIOLATED, explain(report)
