from __future__ import annotations

import hmac
from dataclasses import replace

import pytest

from codeq_contract.driver.webhooks import Received
from codeq_contract.recordings.format import Callback, Header, Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND, parse_moment
from codeq_contract.replay.allowed_differences import AllowedDifferences
from codeq_contract.replay.callbacks import compare_callbacks
from codeq_contract.replay.comparison import Difference

SECRET = "s3cret"
NOON = parse_moment("2026-11-24T12:00:00Z")
TRACE = f"00-{'a' * 32}-{'1' * 16}-01"


def signed(at: int, body: str) -> dict[str, str]:
    timestamp = str(at // SECOND)
    signature = hmac.new(SECRET.encode(), f"{timestamp}.{body}".encode(), "sha256").hexdigest()
    return {"content-type": "application/json", "x-codeq-timestamp": timestamp, "x-codeq-signature": signature}


def callback(at: int, body: str, path: str = "/hook") -> Callback:
    return Callback(NOON + at, "POST", path, signed(NOON + at, body), body, 200)


def received(at: int, body: str, path: str = "/hook") -> Received:
    return Received(NOON + at, "POST", path, signed(NOON + at, body), body.encode())


def differences(
    theirs: list[Callback], ours: list[Received], secret: str = SECRET, allowed: AllowedDifferences | None = None
) -> list[Difference]:
    settings = {"WEBHOOK_HMAC_SECRET": secret} if secret else {}
    header = Header("story", "redis", NOON, settings, None, None, {})
    return compare_callbacks(Recording(header, (), tuple(theirs)), ours, allowed or AllowedDifferences())


def places(theirs: Callback, ours: Received) -> list[str]:
    return [difference.path for difference in differences([theirs], [ours])]


RESULT = '{"taskId":"a","result":{"x":1,"y":"<"},"completedAt":"2026-11-24T12:00:00.3Z"}'
THEIRS = callback(350 * MILLISECOND, RESULT)
OURS = received(300 * MILLISECOND, RESULT)


def test_the_same_callbacks_differ_in_nothing() -> None:
    assert differences([THEIRS], [OURS]) == []


def test_keys_come_in_any_order_at_any_depth() -> None:
    ours = '{"completedAt":"2026-11-24T12:00:00.3Z","result":{"y":"<","x":1},"taskId":"a"}'
    assert places(THEIRS, received(300 * MILLISECOND, ours)) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (RESULT.replace('"a"', '"b"'), "body.taskId"),
        (RESULT.replace('"x":1', '"x":2'), "body.result.x"),
        (RESULT.replace("<", "\\u003c"), "body"),
        (RESULT.replace(".3Z", ".9Z"), "body.completedAt"),
        ("", "body"),
    ],
)
def test_values_and_their_spelling_are_fixed(body: str, path: str) -> None:
    assert places(THEIRS, received(300 * MILLISECOND, body)) == [path]


def test_a_difference_names_the_callback_and_its_clauses() -> None:
    [difference] = differences([THEIRS], [replace(OURS, method="GET")])
    assert str(difference) == "callback 1  POST /hook  [W1-W4]\n  method\n    theirs: POST\n    ours:   GET"


def test_a_callback_must_come_within_60_ms() -> None:
    assert places(THEIRS, received(289 * MILLISECOND, RESULT)) == ["time"]
    assert places(THEIRS, received(411 * MILLISECOND, RESULT)) == ["time"]
    assert places(THEIRS, received(290 * MILLISECOND, RESULT)) == []


@pytest.mark.parametrize("name", ["content-type", "x-codeq-timestamp", "x-codeq-signature"])
def test_the_headers_of_a_callback_are_required(name: str) -> None:
    headers = {key: value for key, value in OURS.headers.items() if key != name}
    assert places(THEIRS, replace(OURS, headers=headers)) == [f"header {name}"]


def test_without_a_secret_a_callback_must_not_be_signed() -> None:
    unsigned = replace(THEIRS, headers={"content-type": "application/json"})
    found = [difference.path for difference in differences([unsigned], [OURS], secret="")]
    assert found == ["header x-codeq-signature", "header x-codeq-timestamp", "header x-codeq-signature"]


def test_the_signature_must_match_the_body() -> None:
    wrong = replace(OURS, headers=signed(OURS.at, RESULT + " "))
    assert places(THEIRS, wrong) == ["header x-codeq-signature"]


def test_the_timestamp_must_be_the_second_of_sending() -> None:
    wrong = replace(OURS, headers=signed(OURS.at - SECOND, RESULT))
    assert places(THEIRS, wrong) == ["header x-codeq-timestamp"]


def test_a_redirect_followed_as_a_get_keeps_the_signature_of_the_post() -> None:
    followed = replace(THEIRS, method="GET", path="/target", body="")
    ours = replace(OURS, method="GET", path="/target", body=b"")
    assert differences([THEIRS, followed], [OURS, ours]) == []
    [difference] = differences([THEIRS, followed], [OURS, replace(ours, headers=signed(OURS.at, ""))])
    assert (difference.event, difference.path) == ("callback 2", "header x-codeq-signature")


def test_a_trace_may_differ_in_its_ids_but_must_be_there() -> None:
    theirs = replace(THEIRS, headers={**THEIRS.headers, "traceparent": TRACE})
    other_ids = replace(OURS, headers={**OURS.headers, "traceparent": TRACE.replace("1", "2").replace("a", "b")})
    assert places(theirs, OURS) == ["header traceparent"]
    assert places(theirs, replace(OURS, headers={**OURS.headers, "traceparent": "nonsense"})) == ["header traceparent"]
    assert places(theirs, replace(other_ids, headers={**OURS.headers, "traceparent": TRACE[:-2] + "00"})) == [
        "header traceparent"
    ]


def test_each_path_has_a_separate_order() -> None:
    first, second = callback(0, "1", "/a"), callback(SECOND, "2", "/b")
    assert differences([first, second], [received(SECOND, "2", "/b"), received(0, "1", "/a")]) == []
    later = SECOND // 20
    swapped = differences([first, callback(later, "2", "/a")], [received(0, "2", "/a"), received(later, "1", "/a")])
    assert [difference.path for difference in swapped] == ["body", "body"]


def test_callbacks_of_one_moment_have_no_order() -> None:
    theirs = [callback(0, "1", "/a"), callback(0, "2", "/a")]
    assert differences(theirs, [received(0, "2", "/a"), received(0, "1", "/a")]) == []
    assert differences(theirs, [received(0, "2", "/a"), received(0, "3", "/a")]) != []


def test_a_missing_callback_is_a_difference() -> None:
    [difference] = differences([THEIRS], [])
    assert (difference.event, difference.path, difference.ours) == ("callback 1", "request", "(absent)")
    assert difference.theirs == f"at 2026-11-24T12:00:00.350000000Z: {RESULT}"


def test_an_additional_callback_is_a_difference_unless_the_recording_was_over() -> None:
    last = callback(SECOND, "1", "/last")
    ours = received(SECOND, "1", "/last")
    [difference] = differences([last], [ours, OURS])
    assert (difference.event, difference.request, difference.theirs) == ("no callback", "POST /hook", "(absent)")
    assert differences([last], [ours, received(SECOND - 60 * MILLISECOND, "2")]) == []


def test_in_real_time_callbacks_of_a_batch_come_in_any_order_and_as_much_earlier_as_the_recorded_server_was_slow() -> (
    None
):
    other = RESULT.replace('"a"', '"b"')
    theirs = [THEIRS, callback(351 * MILLISECOND, other)]
    ours = [received(100 * MILLISECOND, other), received(500 * MILLISECOND, RESULT)]
    real_time = AllowedDifferences(callbacks_late=SECOND, callbacks_early=200 * MILLISECOND)
    assert differences(theirs, ours, allowed=real_time) == []
    assert {difference.path for difference in differences(theirs, ours)} >= {"time", "body.taskId"}


def test_notices_go_out_in_one_order() -> None:
    theirs = [callback(0, '{"notificationId":1}', path) for path in ("/b", "/a")]
    ours = [received(0, '{"notificationId":1}', path) for path in ("/a", "/b")]
    [difference] = differences(theirs, ours)
    assert (difference.clauses, difference.path) == ("U4 U6", "order of the notices")
    assert (difference.theirs, difference.ours) == ("/b, /a", "/a, /b")
