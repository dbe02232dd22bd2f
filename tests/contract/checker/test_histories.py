"""In the recorded histories of the real server the checker finds every violation, and nothing else."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from codeq_contract.checker import CheckResult, Validity, check
from codeq_contract.checker.events import Heartbeat, Read, Result
from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.shipped import shipped, shipped_names

TESTS = Path(__file__).parents[2]
HISTORIES = TESTS / "histories"
#: In these a claim that failed has counted an attempt (K11, G7).
FAILED_CLAIMS = [
    "main/redis/head_claim_errors",
    *(name for name in shipped_names() if name.endswith("/lease_overflow") and not name.startswith("main/pebble")),
]


@cache
def judged(name: str) -> CheckResult:
    return check(read_recording(HISTORIES / f"{name}.jsonl.gz"))


def races(report: CheckResult) -> Counter[tuple[str, str]]:
    return Counter((law, violation.race) for law, violation in report.violations)


@pytest.mark.slow
def test_three_tasks_came_back_after_their_end_by_the_race_z1() -> None:
    report = judged("redis/history_102")
    assert races(report) == {("ended", "Z1"): 3, ("lease-holds", "Z3"): 1}
    ids = {violation.task_id[:8] for law, violation in report.violations if law == "ended"}
    assert ids == {"3941fc98", "c8091c5c", "89b2ae25"}


@pytest.mark.slow
def test_a_task_was_lost_by_the_race_z2() -> None:
    report = judged("redis/history_101")
    assert races(report) == {("lost", "Z2"): 1, ("sizes", "Z2"): 1, ("lease-holds", "Z3"): 1}
    assert [violation.task_id[:8] for law, violation in report.violations if law == "lost"] == ["41789b8d"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["redis/history_103", "kvrocks-2.8/history_401"])
def test_a_lease_was_revoked_by_the_race_z3_and_nothing_was_lost_or_came_back(name: str) -> None:
    assert races(judged(name)) == {("one-lease", "Z3"): 1, ("lease-holds", "Z3"): 1}


def test_an_end_was_undone_by_a_renewal_beside_it_which_no_clause_explains() -> None:
    report = judged("redis/undone_end")
    assert races(report) == {("ended", ""): 1}
    ((_, violation),) = report.violations
    assert [type(event) for event in violation.events] == [Result, Heartbeat, Read]


def test_there_are_recordings() -> None:
    profiles = Counter(name.rpartition("/")[0] for name in shipped_names())
    assert profiles == {
        "v0.3.3/redis": 75,
        "v0.3.3/kvrocks-2.8": 67,
        "v0.3.3/kvrocks-2.9": 19,
        "main/redis": 78,
        "main/pebble": 79,
    }


@pytest.mark.parametrize("name", [name for name in shipped_names() if name not in FAILED_CLAIMS])
def test_a_recording_without_races_is_valid(name: str) -> None:
    report = check(shipped(name))
    assert report.validity is Validity.VALID, report.violations


@pytest.mark.parametrize("name", FAILED_CLAIMS)
def test_an_attempt_that_only_a_failed_claim_explains_is_doubtful(name: str) -> None:
    report = check(shipped(name))
    assert report.validity is Validity.UNKNOWN
    assert report.violations == ()
    assert [judgement.law.name for judgement in report.judgements if judgement.doubtful] == ["attempts"]
