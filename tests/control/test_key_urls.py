"""No request chooses an address that the fake calls: keys come from where callbacks may go, or the start said."""

from __future__ import annotations

import json

import httpx
import pytest

from codeq_fake.testing import FakeCodeQ
from tests.auth.support import jwks, mint

LOCAL = "http://127.0.0.1:9/keys"
METADATA = "http://169.254.169.254/keys"


def settings(url: str) -> dict[str, str]:
    """Settings of a fake whose keys are at `url`."""
    config = {"jwksUrl": url, "issuer": "codeq-test", "audience": "codeq-producer"}
    return {f"{side}_AUTH_CONFIG": json.dumps(config) for side in ("PRODUCER", "WORKER")}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that would be called. `/to-metadata` leads to another address, everything else is a document."""
    urls: list[str] = []

    async def answer(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        if request.url.path == "/to-metadata":
            return httpx.Response(302, headers={"Location": METADATA})
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(jwks("k1")).encode()))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    return urls


def reset(fake: FakeCodeQ, url: str) -> None:
    """Give the fake keys at another URL, as a caller of the control API does."""
    with fake.client() as http:
        http.post("/_fake/reset", json={"settings": settings(url), "now": "2026-01-31T12:00:00Z"}).raise_for_status()


def refusal_of_a_token(fake: FakeCodeQ) -> str:
    """What a request with a signed token of an unknown key is told; empty if the token is accepted."""
    token = mint({"kind": "producer", "claims": {"sub": "p"}})
    with fake.client() as http:
        reply = http.post("/v1/codeq/tasks", json={"command": "A"}, headers={"Authorization": f"Bearer {token}"})
    return reply.text if reply.status_code == httpx.codes.UNAUTHORIZED else ""


@pytest.mark.parametrize(
    ("url", "calls", "reason"),
    [
        (LOCAL, [LOCAL], ""),
        (METADATA, [], "169.254.169.254 is link-local, or a metadata service of a cloud"),
        ("http://public.example/", [], "public.example may be a public name"),
        ("http://8.8.8.8/", [], "8.8.8.8 is not on this machine or a private network"),
        ("http://127.0.0.1:9/to-metadata", ["http://127.0.0.1:9/to-metadata"], "169.254.169.254 is link-local"),
    ],
)
def test_keys_of_a_reset_are_fetched_only_where_callbacks_may_go(
    called: list[str], url: str, calls: list[str], reason: str
) -> None:
    with FakeCodeQ() as fake:
        reset(fake, url)
        assert reason in refusal_of_a_token(fake)
    assert called == calls


def test_hosts_that_callbacks_may_reach_may_have_keys(called: list[str]) -> None:
    with FakeCodeQ(webhook_allow=["keys.example"]) as fake:
        reset(fake, "http://keys.example/")
        refusal_of_a_token(fake)
    assert called == ["http://keys.example/"]


def test_keys_of_the_start_may_be_anywhere(called: list[str]) -> None:
    with FakeCodeQ(settings=settings("http://public.example/")) as fake:
        refusal_of_a_token(fake)
    assert called == ["http://public.example/"]
