"""The recorded calls: how the real server read their bodies, and wrote its answers."""

from __future__ import annotations

import json
import re
from zoneinfo import ZoneInfo

import pytest

from codeq_fake.wire import (
    INT,
    LIST_OF,
    STRING,
    BadTime,
    IllegalBase64,
    Struct,
    callback_text,
    decode_base64,
    encode,
    is_webhook_url,
    parse_rfc3339,
    reformat_rfc3339,
    rfc3339_nano,
    rfc3339_seconds,
)
from tests.wire.support import (
    CLAIM,
    CLAIM_BATCH,
    CREATE,
    PROFILES,
    RESULT,
    RESULTS,
    SUBSCRIBE,
    calls,
    creates,
    fields,
    sessions,
)

# Routes that refuse bad bodies, how these are read, and the field that they cannot do without.
ROUTES = {
    "/tasks/claim": (CLAIM, None),
    "/tasks/claim/batch": (CLAIM_BATCH, "count"),
    "/tasks/[^/]+/heartbeat": (Struct({"extendSeconds": INT}), None),
    "/tasks/[^/]+/nack": (Struct({"delaySeconds": INT, "reason": STRING}), None),
    "/tasks/[^/]+/result": (RESULT, "status"),
    "/tasks/batch": (Struct({"tasks": LIST_OF(CREATE)}), "tasks"),
    "/tasks/batch/results": (RESULTS, "results"),
    "/workers/subscriptions": (SUBSCRIBE, "callbackUrl"),
}

every_profile = pytest.mark.parametrize("profile", PROFILES)
# Subtle bodies were recorded only on these two stores.
rich_profiles = pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile != "kvrocks-2.9"])


@pytest.mark.slow
@every_profile
def test_a_create_is_refused_where_the_server_refused_its_body(profile: str) -> None:
    verdicts = set()
    for call in creates(profile):
        set_fields = fields(call.body, CREATE)
        complete = set_fields is not None and bool(set_fields.get("command")) and "payload" in set_fields
        assert complete == (call.error != "invalid body"), call
        verdicts.add(complete)
    assert True in verdicts


@pytest.mark.slow
@every_profile
def test_command_and_payload_are_what_the_server_stored(profile: str) -> None:
    stored = 0
    for call in creates(profile):
        set_fields = fields(call.body, CREATE) or {}
        if call.status == 202 and not set_fields.get("idempotencyKey"):
            assert (set_fields["command"], set_fields["payload"]) == (call.answer["command"], call.answer["payload"])
            stored += 1
    assert stored > 100


@pytest.mark.slow
@rich_profiles
def test_a_webhook_is_refused_where_the_server_refused_it(profile: str) -> None:
    refused = 0
    for call in creates(profile):
        webhook = (fields(call.body, CREATE) or {}).get("webhook")
        if webhook and call.error in {None, "invalid webhook url"}:
            assert is_webhook_url(webhook) == (call.status == 202), call
            refused += call.status != 202
    assert refused > 10


@pytest.mark.slow
@rich_profiles
def test_a_run_time_is_refused_where_the_server_refused_it(profile: str) -> None:
    refused = 0
    for call in creates(profile):
        run_at = (fields(call.body, CREATE) or {}).get("runAt")
        if run_at and call.error == "invalid 'runAt' (use RFC3339)":
            with pytest.raises(BadTime):
                parse_rfc3339(run_at)
            refused += 1
        elif run_at and call.status == 202:
            parse_rfc3339(run_at)
    assert refused > 10


@every_profile
@pytest.mark.parametrize("route", ROUTES)
def test_other_bodies_are_refused_where_the_server_refused_them(route: str, profile: str) -> None:
    struct, required = ROUTES[route]
    for call in calls(profile):
        if call.method == "POST" and call.reply and re.fullmatch(route, call.path):
            refused = call.error in {"invalid body", "invalid request body"}
            assert is_complete(fields(call.body, struct), required) != refused, call


def is_complete(set_fields: dict[str, object] | None, required: str | None) -> bool:
    if set_fields is None or required is None:
        return set_fields is not None
    value = set_fields.get(required)
    return value > 0 if isinstance(value, int) else bool(value)


@rich_profiles
def test_an_artifact_is_refused_where_the_server_refused_it(profile: str) -> None:
    errors = []
    for call in calls(profile):
        if not call.path.endswith("/result") or call.status not in {200, 400}:
            continue
        for artifact in (fields(call.body, RESULT) or {}).get("artifacts", ()):
            if "url" not in artifact and "contentBase64" in artifact:
                try:
                    decode_base64(artifact["contentBase64"])
                except IllegalBase64 as error:
                    errors.append(f"artifact {artifact['name']} base64 decode: {error}")
                    assert call.error == errors[-1]
                else:
                    assert call.status == 200
    assert errors == ["artifact bad base64 decode: illegal base64 data at input byte 0"]


@every_profile
def test_replies_are_encoded_as_the_server_encoded_them(profile: str) -> None:
    replies = [call.reply for call in calls(profile) if call.reply.startswith("{")]
    assert [encode(json.loads(reply)) for reply in replies] == replies


@every_profile
def test_callbacks_are_encoded_as_the_server_encoded_them(profile: str) -> None:
    bodies = [line["body"] for session in sessions(profile) for line in session if line["kind"] == "callback"]
    bodies = [body for body in bodies if body]
    assert bodies
    assert [callback_text(encode(json.loads(body))) for body in bodies] == bodies


@every_profile
def test_times_are_written_as_the_server_wrote_them(profile: str) -> None:
    for header, *session in sessions(profile):
        zone = ZoneInfo("UTC" if "timezone: UTC" in (header["yaml"] or "") else "America/Sao_Paulo")
        replies = " ".join(line["reply"] for line in session if line["kind"] == "call")
        for time in re.findall(r'"(?:createdAt|updatedAt|completedAt|expiresAt)":"([^"]+)"', replies):
            assert rfc3339_nano(parse_rfc3339(time), zone) == time
        for time in re.findall(r'"leaseUntil":"([^"]+)"', replies):
            assert rfc3339_seconds(parse_rfc3339(time)) == time


@rich_profiles
def test_a_clean_up_names_the_time_that_it_was_given(profile: str) -> None:
    named = []
    for call in calls(profile):
        before = (fields(call.body, Struct({"before": STRING})) or {}).get("before")
        if call.path == "/admin/tasks/cleanup" and before and call.status == 200:
            assert reformat_rfc3339(before) == call.answer["before"]
            named.append(before)
    assert "2020-01-01T00:00:00+03:00" in named
    assert "2020-01-01T00:00:00.5Z" in named
