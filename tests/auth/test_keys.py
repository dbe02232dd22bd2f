"""JWKS documents: fetched if needed, cached for five minutes (A4)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from codeq_fake.auth import Authenticator, KeysNeeded, Unauthenticated, with_keys
from codeq_fake.auth.keys import FetchFailed, fetch_url, read_keys
from codeq_fake.server_settings import JwksAuth
from tests.auth.support import CALLERS, NOW, SECOND, jwks, mint, rsa_key, settings

if TYPE_CHECKING:
    from pathlib import Path

    from codeq_fake.auth import Caller

URL = "http://keys.test/jwks.json"
FIVE_MINUTES = 300 * SECOND


class Server:
    """What answers the fetches: a document, or a failure; and how often it was asked."""

    def __init__(self, document: object = None) -> None:
        self.document: object = jwks("k1") if document is None else document
        self.failure = ""
        self.asked: list[tuple[str, float]] = []

    async def fetch(self, url: str, timeout: float) -> bytes:  # noqa: ASYNC109 - what a Fetch is given
        self.asked.append((url, timeout))
        failure = self.failure
        await asyncio.sleep(0)
        if failure:
            raise FetchFailed(failure)
        return self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()


def authenticator(server: Server, **changes: Any) -> Authenticator:
    producers = JwksAuth(URL, "codeq-test", "codeq-producer", timeout=2.5)
    return Authenticator.of(settings(producer_auth=producers, **changes), fetch=server.fetch)


def enter(door: Authenticator, name: str = "prod", *, now: int = NOW, key: RSAKey | None = None) -> Caller:
    """Come in as a producer, fetching keys as needed."""
    token = mint(CALLERS[name], now=NOW, key=key)
    return asyncio.run(with_keys(lambda: door.producer(f"Bearer {token}", now=now), now=now))


def refused(door: Authenticator, name: str = "prod", *, now: int = NOW) -> str:
    with pytest.raises(Unauthenticated) as caught:
        enter(door, name, now=now)
    return caught.value.text


def test_a4_the_keys_are_asked_for_by_the_first_token_that_needs_them() -> None:
    server = Server()
    door = authenticator(server)
    with pytest.raises(KeysNeeded):
        door.producer(f"Bearer {mint(CALLERS['prod'])}", now=NOW)
    assert server.asked == []
    assert enter(door).subject == "prod-1"
    assert server.asked == [(URL, 2.5)]


def test_a4_keys_are_kept_for_five_minutes() -> None:
    server = Server()
    door = authenticator(server)
    enter(door)
    enter(door, "audlist", now=NOW + FIVE_MINUTES - 1)
    assert len(server.asked) == 1
    enter(door, "rs512", now=NOW + FIVE_MINUTES)
    assert len(server.asked) == 2


def test_a4_a_caller_is_authenticated_no_longer_than_the_key_is_used() -> None:
    server = Server()
    door = authenticator(server)
    enter(door)
    server.document = jwks("k1", key=RSAKey.generate_key(2048))
    assert enter(door, now=NOW + FIVE_MINUTES - 1).subject == "prod-1"
    assert refused(door, now=NOW + FIVE_MINUTES) == "token signature is invalid: crypto/rsa: verification error"


def test_a4_an_unknown_key_has_the_document_fetched_each_time() -> None:
    server = Server()
    door = authenticator(server)
    enter(door)
    for asked in (2, 3):
        text = "token is unverifiable: error while executing keyfunc: key k9 not found in JWKS"
        assert refused(door, "badkid") == text
        assert len(server.asked) == asked
    server.document = jwks("k1", "k9")
    assert enter(door, "badkid").subject == "x"


def test_a4_an_unreachable_document_makes_tokens_unverifiable_until_it_is_back() -> None:
    server = Server()
    door = authenticator(server)
    server.failure = "failed to fetch JWKS: refused"
    assert refused(door) == "token is unverifiable: error while executing keyfunc: failed to fetch JWKS: refused"
    server.failure = ""
    assert enter(door).subject == "prod-1"


def test_a4_known_keys_outlive_an_outage_only_as_long_as_they_are_fresh() -> None:
    server = Server()
    door = authenticator(server)
    enter(door)
    server.failure = "JWKS endpoint returned status 503"
    assert "status 503" in refused(door, "badkid")
    assert enter(door, "rs512").subject == "x"
    assert "status 503" in refused(door, "rs512", now=NOW + FIVE_MINUTES)


def test_a4_a_failure_beside_a_fetch_that_went_well_is_forgotten() -> None:
    server = Server()
    door = authenticator(server)
    header = f"Bearer {mint(CALLERS['prod'])}"

    async def come_in() -> Caller:
        return await with_keys(lambda: door.producer(header, now=NOW), now=NOW)

    async def both() -> None:
        good = asyncio.create_task(come_in())
        await asyncio.sleep(0)
        server.failure = "failed"
        await asyncio.gather(good, come_in())

    asyncio.run(both())
    server.failure = ""
    assert enter(door, "rs512", now=NOW + FIVE_MINUTES).subject == "x"


@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a4_what_is_no_jwks_document_is_told(document: bytes) -> None:
    text = refused(authenticator(Server(document)))
    assert text.startswith("token is unverifiable: error while executing keyfunc: failed to parse JWKS: ")


def test_a6_a7_the_other_sides_keys_are_fetched_too() -> None:
    server = Server()
    door = authenticator(server, allow_producer_as_worker=True)
    header = f"Bearer {mint(CALLERS['prod'])}"
    worker = asyncio.run(with_keys(lambda: door.worker(header, "codeq:claim", now=NOW), now=NOW))
    reader = asyncio.run(with_keys(lambda: door.reader(header, now=NOW), now=NOW))
    assert (worker.subject, reader.subject, len(server.asked)) == ("prod-1", "prod-1", 1)


def test_only_rsa_keys_that_can_be_read_are_keys() -> None:
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024).as_dict(private=False)
    good = {**rsa_key().as_dict(private=False), "use": "sig"}
    document = {
        "keys": [
            {**good, "kid": "good"},
            {**short, "kid": "short"},
            {**good, "kid": "number", "n": 5},
            {**good, "kid": "text", "n": "!"},
            {"kty": "RSA", "kid": "empty"},
            {"kty": "EC", "kid": "curve"},
            "text",
        ]
    }
    assert set(read_keys(document)) == {"good", "short"}
    assert read_keys({}) == {}


def test_a_jwks_document_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys é.json"
    path.write_text("content")
    assert asyncio.run(fetch_url(path.as_uri(), 1)) == b"content"
    with pytest.raises(FetchFailed, match="failed to fetch JWKS"):
        asyncio.run(fetch_url((tmp_path / "none").as_uri(), 1))


@pytest.mark.port
@pytest.mark.parametrize(
    ("status", "outcome"), [("200 OK", "content"), ("503 Service Unavailable", "JWKS endpoint returned status 503")]
)
def test_a_jwks_document_is_read_over_http(status: str, outcome: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 7\r\nconnection: close\r\n\r\ncontent".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def fetch() -> str:
        async with await asyncio.start_server(answer, "127.0.0.1") as server:
            host, port = server.sockets[0].getsockname()
            try:
                return (await fetch_url(f"http://{host}:{port}/", 5)).decode()
            except FetchFailed as error:
                return str(error)

    assert asyncio.run(fetch()) == outcome


@pytest.mark.port
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[/"])
def test_an_unreachable_url_is_a_failed_fetch(url: str) -> None:
    with pytest.raises(FetchFailed, match="failed to fetch JWKS: Get"):
        asyncio.run(fetch_url(url, 5))
