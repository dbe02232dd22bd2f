"""A history that was cut before the drain was over shows no losses, only what was wrong before the cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.checker.settings import Settings
from codeq_contract.recordings.files import parse_recording, recording_text
from codeq_contract.recordings.format import Recording, RecordingError
from tests.contract.checker.support import SCENARIO, EditedHistory, header


@pytest.fixture
def drained(recording: Recording) -> EditedHistory:
    return EditedHistory(recording, SCENARIO)


@pytest.fixture
def cut(recording: Recording) -> EditedHistory:
    return EditedHistory(replace(recording, header=replace(recording.header, drained=False)), SCENARIO)


@pytest.mark.parametrize("last", range(1, len(SCENARIO) + 1))
def test_a_right_history_breaks_no_law_wherever_it_is_cut(cut: EditedHistory, last: int) -> None:
    ended = max(call.answered for call in cut.calls.values() if call.number <= last)
    cut.callbacks = [callback for callback in cut.callbacks if callback.at <= ended]
    assert cut.check(only=range(1, last + 1)).violations == ()


def test_a_task_that_no_worker_got_before_the_cut_is_no_loss(drained: EditedHistory, cut: EditedHistory) -> None:
    for history in (drained, cut):
        history.drop("claim delayed", "end delayed")
    assert drained.broken_laws() == {"lost": {"delayed"}}
    assert cut.broken_laws() == {"empty": {"delayed"}}


def test_a_task_that_stayed_in_progress_until_the_cut_outlived_its_lease_and_is_no_loss(
    drained: EditedHistory, cut: EditedHistory
) -> None:
    for history in (drained, cut):
        history.drop("claim late again", "nack late")
        history.repeat("read low", "read late", ms=20_000)
        shown = {"id": history.id_of("late"), "workerId": "w2", "status": "IN_PROGRESS", "attempts": 1}
        history.show("read late", **shown)
    assert set(drained.broken_laws()) >= {"lost"}
    assert "lost" not in cut.broken_laws()
    assert "late" in cut.broken_laws()["expiry"]


def test_a_recording_is_read_as_it_was_written(recording: Recording) -> None:
    for drained in (True, False):
        written = replace(recording, header=replace(recording.header, drained=drained))
        assert parse_recording(recording_text(written), name="it") == written


def test_a_recording_without_the_mark_counts_as_drained(recording: Recording) -> None:
    text = recording_text(recording).replace('"drained":true,', "")
    assert parse_recording(text, name="it").header.drained


@pytest.mark.parametrize("text", ["[" * 100_000, "7", "[]", "{}", '{"kind": 1e99999999999999999999}', "9" * 5000])
def test_a_text_that_is_no_recording_is_refused(text: str) -> None:
    with pytest.raises(RecordingError, match=r"^it, line 1: "):
        parse_recording(text, name="it")


@pytest.mark.parametrize("text", ["[", "[" * 1000, "7", "defaultLeaseSeconds: soon", "rateLimit: 7", "env: !!int ''"])
def test_settings_of_a_recording_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(RecordingError, match="the settings of the recording cannot be read: "):
        Settings.of(replace(header(), yaml=text))
