from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.core.task import Artifact
from codeq_fake.webhooks import Composer, Outgoing
from codeq_fake.webhooks.composer import sign
from tests.webhooks.support import Recorded, recorded

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
SECOND = 1_000_000_000
NOW = 1_795_500_630_374_497_239
NOTICE = NoticeDue(subscription_id="254474e3", url="http://hooks.test/n", command="CMD")


def callback_due(**changes: Any) -> CallbackDue:
    fields: dict[str, Any] = {
        "delivery_id": 1,
        "attempt": 1,
        "url": "http://hooks.test/hook",
        "task_id": "62b322b2",
        "command": "CMD",
        "status": "COMPLETED",
        "result": '{"ok":true}',
        "error": "",
        "artifacts": None,
        "completed_at": NOW,
    }
    return CallbackDue(**fields | changes)


def composed(due: CallbackDue, *, now: int = NOW, secret: str = "") -> Outgoing:
    return Composer(SAO_PAULO, secret=secret).callback(due, now=now)


def nanoseconds(text: str) -> int:
    whole, _, rest = text.partition(".")
    fraction = rest[: len(rest) - len("-03:00")]
    return int(datetime.fromisoformat(f"{whole}-03:00").timestamp()) * SECOND + int(fraction.ljust(9, "0"))


def as_effect(request: Recorded) -> CallbackDue:
    body = request.json
    result = json.dumps(body["result"], separators=(",", ":"), sort_keys=True)
    for character in "<>&":
        result = result.replace(character, f"\\u{ord(character):04x}")
    return callback_due(
        task_id=body["taskId"],
        command=body["eventType"],
        status=body["status"],
        result=None if body["result"] is None else result,
        error=body["error"],
        artifacts=tuple(Artifact(**artifact) for artifact in body["artifacts"]) if body["artifacts"] else None,
        completed_at=nanoseconds(body["completedAt"]),
    )


def test_recorded_callbacks_are_written_as_the_real_server_wrote_them() -> None:  # W1
    callbacks = [request for request in recorded() if "taskId" in request.json]

    assert len(callbacks) > 50
    for request in callbacks:
        assert json.loads(composed(as_effect(request)).body) == request.json


def test_a_callback_of_a_failed_task_byte_for_byte() -> None:  # W1
    due = callback_due(status="FAILED", result=None, error="nope")

    assert composed(due).body == (
        b'{"taskId":"62b322b2","eventType":"CMD","status":"FAILED","result":null,"error":"nope","artifacts":null,'
        b'"completedAt":"2026-11-24T03:10:30.374497239-03:00"}'
    )


def test_artifacts_are_listed_by_name_and_url() -> None:  # W1
    due = callback_due(artifacts=(Artifact(name="", url="https://x.test/a"), Artifact(name="b", url="file:///b")))

    assert b'"artifacts":[{"name":"","url":"https://x.test/a"},{"name":"b","url":"file:///b"}]' in composed(due).body


def test_angle_brackets_and_ampersands_are_not_escaped() -> None:  # W1
    due = callback_due(command="<c>", error="a & b", result=r'{"a":"\u003c\u0026\u003e"}')

    body = composed(due).body

    assert b'"eventType":"<c>"' in body
    assert b'"error":"a & b"' in body
    assert b'"result":{"a":"<&>"}' in body


def test_an_escaped_backslash_before_u003c_stays_what_it_is() -> None:  # W1
    due = callback_due(result=r'{"a":"\\u003c"}')

    assert json.loads(composed(due).body)["result"] == {"a": r"\u003c"}


def test_tries_differ_in_timestamp_and_signature_alone() -> None:  # W3
    first, second = (composed(callback_due(attempt=n), now=NOW + n * SECOND, secret="s3cret") for n in (1, 2))

    assert (first.body, first.url, first.method) == (second.body, second.url, "POST")
    assert dict(first.headers)["X-CodeQ-Timestamp"] == "1795500631"
    assert dict(second.headers)["X-CodeQ-Timestamp"] == "1795500632"
    assert dict(second.headers)["X-CodeQ-Signature"] == sign("s3cret", 1795500632, second.body)


def test_a_traced_callback_carries_its_traceparent() -> None:  # X1
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-2148fb72e3684c1f-01"

    assert dict(composed(callback_due(trace_parent=parent, trace_state="a=b")).headers)["traceparent"] == parent


def test_a_notice_byte_for_byte() -> None:  # U4
    outgoing = Composer(SAO_PAULO).notice(NOTICE, now=NOW)

    assert (outgoing.method, outgoing.url) == ("POST", "http://hooks.test/n")
    assert outgoing.body == (
        b'{"eventType":"CMD","available":true,"queueDepth":0,"claimUrl":"/v1/codeq/tasks/claim",'
        b'"sentAt":"2026-11-24T06:10:30Z","notificationId":"ntf-254474e3"}'
    )


def test_recorded_notices_are_written_as_the_real_server_wrote_them() -> None:  # U4
    notices = [request.json for request in recorded("*/subscriptions_*") if "notificationId" in request.json]

    assert len(notices) > 20
    for theirs in notices:
        due = NoticeDue(theirs["notificationId"].removeprefix("ntf-"), "http://hooks.test/n", theirs["eventType"])
        sent_at = int(datetime.strptime(theirs["sentAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
        assert json.loads(Composer(SAO_PAULO).notice(due, now=sent_at * SECOND).body) == theirs


def test_a_notice_is_signed_like_a_callback() -> None:  # U4, W2
    outgoing = Composer(SAO_PAULO, secret="s3cret").notice(NOTICE, now=NOW)

    assert dict(outgoing.headers)["X-CodeQ-Signature"] == sign("s3cret", 1795500630, outgoing.body)


@pytest.mark.parametrize("shown", [repr, str])
def test_the_secret_is_never_shown(shown: Any) -> None:
    assert "s3cret" not in shown(Composer(SAO_PAULO, secret="s3cret"))
