from __future__ import annotations

from codeq_fake.webhooks.composer import headers, sign
from tests.webhooks.support import recorded

BODY = b'{"status":"COMPLETED"}'


def test_every_recorded_signature_is_ours() -> None:  # W2
    signed = [request for request in recorded() if request.secret]

    assert len(signed) > 50
    for request in signed:
        timestamp = int(request.headers["x-codeq-timestamp"])
        assert sign(request.secret, timestamp, request.body.encode()) == request.headers["x-codeq-signature"]


def test_a_signature_covers_secret_timestamp_and_body() -> None:  # W2
    signatures = {sign("s", 1, b"x"), sign("t", 1, b"x"), sign("s", 2, b"x"), sign("s", 1, b"y")}

    assert len(signatures) == 4


def test_without_a_secret_a_request_is_unsigned() -> None:  # W2
    assert headers(BODY, secret="", timestamp=1_700_000_000) == (
        ("User-Agent", "Go-http-client/1.1"),
        ("Content-Type", "application/json"),
        ("Accept-Encoding", "gzip"),
    )


def test_with_a_secret_a_request_carries_timestamp_and_signature() -> None:  # W2
    assert headers(BODY, secret="s3cret", timestamp=1_700_000_000)[2:-1] == (
        ("X-CodeQ-Timestamp", "1700000000"),
        ("X-CodeQ-Signature", sign("s3cret", 1_700_000_000, BODY)),
    )


def test_a_traced_task_adds_its_traceparent() -> None:  # X1
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-2148fb72e3684c1f-01"

    assert ("traceparent", parent) in headers(BODY, secret="", timestamp=1, trace_parent=parent)


def test_the_headers_are_those_that_were_recorded() -> None:
    for request in recorded():
        ours = headers(b"", secret=request.secret, timestamp=1, trace_parent=request.headers.get("traceparent", ""))
        # Recordings did not keep the encoding that Go's client accepts.
        assert {name.lower() for name, _ in ours} == {*request.headers, "accept-encoding"}
