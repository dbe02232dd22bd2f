"""What versions and stores change for the laws on callbacks (G5, G6, P5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.checker import CheckResult, check
from codeq_contract.recordings.format import Recording
from tests.contract.checker.support import Step, drive

CREATE = Step("create", number=3)  # of command B, with a webhook and three attempts
CLAIM = Step("claim", number=2, wait=2000)
NACK = Step("nack", task=-1, number=1)
READ = Step("read", wait=20_000)
DEAD_LETTER = (CREATE, CLAIM, NACK, CLAIM, NACK, READ)
BATCH = (CREATE, CLAIM, Step("results", task=-1), READ)


def broken(recording: Recording) -> set[str]:
    report: CheckResult = check(recording)
    return {law for law, _ in report.violations}


@pytest.mark.parametrize("steps", [DEAD_LETTER, BATCH], ids=["dead letter", "batch"])
def test_main_calls_back_and_v0_3_3_does_not(steps: tuple[Step, ...]) -> None:
    v0_3_3, main = drive(steps, profile="redis"), drive(steps, profile="main/redis")
    assert (len(v0_3_3.callbacks), len(main.callbacks)) == (0, 1)
    assert broken(v0_3_3) == broken(main) == set()
    assert broken(replace(main, callbacks=())) == {"callback"}
    assert broken(replace(v0_3_3, callbacks=main.callbacks)) == {"callback-cause"}


def test_a_callback_of_a_dead_letter_reports_a_failure() -> None:
    recording = drive(DEAD_LETTER, profile="main/redis")
    [callback] = recording.callbacks
    told = replace(callback, body=callback.body.replace("FAILED", "COMPLETED"))
    assert broken(replace(recording, callbacks=(told,))) == {"callback-cause", "signature"}


def test_only_a_reaper_calls_back_for_a_lease_that_ran_out() -> None:
    abandon, leased = Step("abandon", task=-1), replace(CLAIM, seconds=1)
    recording = drive([CREATE, CLAIM, abandon, leased, Step("read", wait=5000)], profile="main/pebble")
    assert len(recording.callbacks) == 1
    assert broken(recording) == set()
    without_reaper = replace(recording, header=replace(recording.header, profile="main/redis"))
    assert "callback-cause" in broken(without_reaper)
