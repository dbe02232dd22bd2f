"""A replay on a server that answers from a recording finds every alteration, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.format import Call, Recording
from codeq_contract.recordings.shipped import FOLDER
from codeq_contract.recordings.times import MILLISECOND
from codeq_contract.replay.comparison import Difference
from codeq_contract.replay.player import replay
from tests.replay.support import Echo

LATE = 80 * MILLISECOND


def recorded(name: str) -> Recording:
    return read_recording(FOLDER / "v0.3.3" / "redis" / f"{name}.jsonl.gz")


def with_call(recording: Recording, altered: Call) -> Recording:
    calls = tuple(altered if call.number == altered.number else call for call in recording.calls)
    return Recording(recording.header, calls, recording.callbacks)


def call(recording: Recording, number: int) -> Call:
    return next(call for call in recording.calls if call.number == number)


def places_of(differences: list[Difference]) -> list[tuple[str, str]]:
    return [(difference.event, difference.path) for difference in differences]


@pytest.mark.parametrize(
    "name", ["claim_long_poll", "callback_redirect", "callback_gives_up", "metrics", "surface", "tracing"]
)
def test_a_recording_replayed_on_itself_differs_in_nothing(name: str) -> None:
    recording = recorded(name)
    assert replay(recording, Echo(recording)) == []


def test_one_altered_status_is_the_only_difference() -> None:
    recording = recorded("nack")
    altered = replace(call(recording, 3), status=418)
    assert places_of(replay(recording, Echo(with_call(recording, altered)))) == [("call 3", "status")]


def test_one_altered_value_is_the_only_difference() -> None:
    recording = recorded("claim_order")
    original = call(recording, 5)
    altered = replace(original, reply=original.reply.replace('"status":"PENDING"', '"status":"FAILED"'))
    assert altered != original
    assert places_of(replay(recording, Echo(with_call(recording, altered)))) == [("call 5", "body.status")]


def test_a_long_poll_that_is_answered_early_is_a_difference() -> None:
    recording = recorded("claim_long_poll")
    poll = call(recording, 1)
    hasty = replace(poll, answered=poll.answered - LATE)
    assert places_of(replay(recording, Echo(with_call(recording, hasty)))) == [("call 1", "time of the answer")]


def test_a_long_poll_that_is_not_answered_in_time_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeq_contract.replay.player.PATIENCE", 0.01)
    recording = recorded("claim_long_poll")
    poll = call(recording, 1)
    tardy = replace(poll, answered=poll.answered + LATE)
    [difference] = replay(recording, Echo(with_call(recording, tardy)))
    assert (difference.event, difference.theirs, difference.ours) == ("call 1", "204", "no answer")


def test_a_callback_that_comes_late_is_a_difference() -> None:
    recording = recorded("callback_gives_up")
    first, second, *others = recording.callbacks
    late = Recording(recording.header, recording.calls, (first, replace(second, at=second.at + LATE), *others))
    assert places_of(replay(recording, Echo(late))) == [("callback 2", "time")]


def test_a_callback_that_does_not_come_is_a_difference() -> None:
    recording = recorded("callback_gives_up")
    fewer = Recording(recording.header, recording.calls, recording.callbacks[:-1])
    assert places_of(replay(recording, Echo(fewer))) == [("callback 5", "request")]


def test_an_additional_callback_is_a_difference() -> None:
    recording = recorded("callback_ok")
    fewer = Recording(recording.header, recording.calls, recording.callbacks[1:])
    assert places_of(replay(fewer, Echo(recording))) == [("no callback", "request")]


def test_new_ids_are_queued_once_in_their_order() -> None:
    recording = recorded("create_idempotent")
    echo = Echo(recording)
    replay(recording, echo)
    assert echo.queued_ids
    assert len(echo.queued_ids) == len(set(echo.queued_ids))


def test_ids_of_batches_and_subscriptions_are_queued_too() -> None:
    batch, subscriptions = Echo(recorded("create_batch")), Echo(recorded("subscriptions_expire"))
    replay(batch.recording, batch)
    replay(subscriptions.recording, subscriptions)
    assert len(batch.queued_ids) > 100
    assert len(subscriptions.queued_ids) == 6


@pytest.mark.parametrize(
    ("policy", "delays"), [("exp_full_jitter", [9, 0, 8, 38]), ("bogus", [9, 6, 8, 495]), ("linear", [])]
)
def test_delays_are_queued_if_the_server_drew_them(policy: str, delays: list[int]) -> None:
    recording = recorded(f"nack_backoff_{policy}")
    echo = Echo(recording)
    replay(recording, echo)
    assert echo.queued_delays == delays


def test_the_fake_is_set_up_as_the_recorded_server_was() -> None:
    recording = recorded("yaml_settings")
    echo = Echo(recording)
    replay(recording, echo)
    assert echo.configuration is not None
    assert echo.configuration["profile"] == "redis"
    assert echo.configuration["clock"] == "manual"
    assert echo.configuration["now"] == "2026-11-24T06:11:13.300000000Z"
    assert echo.configuration["yaml"] == recording.header.yaml
    assert echo.configuration["settings"] == recording.header.settings
    assert echo.configuration["identities"]["w1"]["claims"]["sub"] == "w-1"
