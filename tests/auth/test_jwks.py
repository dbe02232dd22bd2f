"""JWKS documents: fetched if needed, cached for five minutes (A4)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time  # noqa: TID251 - measures how long something takes
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from codeq_fake.auth import Authenticator, KeysNeeded, Unauthenticated, with_keys
from codeq_fake.auth.jwks import FetchFailed, fetch_url, read_keys
from codeq_fake.clocks import run
from codeq_fake.server_settings import JwksAuth
from tests.auth.support import CALLERS, NOW, SECOND, jwks, mint, rsa_key, settings
from tests.holds import LIMIT, measured

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


async def entered(door: Authenticator, key_id: str) -> Caller:
    header = f"Bearer {mint({**CALLERS['prod'], 'kid': key_id})}"
    return await with_keys(lambda: door.producer(header, now=NOW), now=NOW)


def test_requests_with_unknown_keys_at_the_same_time_share_one_fetch() -> None:
    server = Server()
    door = authenticator(server)

    async def flood() -> list[Caller | BaseException]:
        keys = [f"k{number}" for number in range(20)]
        return await asyncio.gather(*(entered(door, key_id) for key_id in keys), return_exceptions=True)

    texts = [str(outcome) for outcome in asyncio.run(flood()) if isinstance(outcome, Unauthenticated)]
    assert texts == [
        f"token is unverifiable: error while executing keyfunc: key k{number} not found in JWKS"
        for number in range(20)
        if number != 1
    ]
    assert len(server.asked) == 1


def test_unknown_keys_have_the_document_fetched_ten_times_a_second_at_most() -> None:
    server = Server()
    door = authenticator(server)

    async def knock(number: int) -> None:
        await asyncio.sleep(number / 100)
        with pytest.raises(Unauthenticated):
            await entered(door, f"x{number}")

    async def flood() -> None:
        await asyncio.gather(*map(knock, range(100)))

    run(flood())
    assert 5 < len(server.asked) <= 12


def test_expired_keys_are_fetched_at_once_on_a_clock_that_a_test_moves() -> None:
    server = Server()
    door = authenticator(server)
    header = f"Bearer {mint(CALLERS['prod'])}"

    async def at(now: int) -> float:
        before = asyncio.get_running_loop().time()
        with suppress(Unauthenticated):
            await with_keys(lambda: door.producer(header, now=now), now=now)
        return asyncio.get_running_loop().time() - before

    async def waits() -> list[float]:
        found = [await at(NOW), await at(NOW + FIVE_MINUTES)]
        server.failure = "refused"
        return [*found, await at(NOW + 2 * FIVE_MINUTES), await at(NOW + 2 * FIVE_MINUTES)]

    assert run(waits()) == pytest.approx([0, 0, 0, 0.1])
    assert len(server.asked) == 4


def test_a_new_key_is_found_directly_after_a_fetch() -> None:
    server = Server()
    door = authenticator(server)

    async def rotate() -> str:
        await entered(door, "k1")
        server.document = jwks("k2")
        return (await entered(door, "k2")).subject

    assert run(rotate()) == "prod-1"


def test_a_cancelled_request_does_not_end_the_fetch_of_others() -> None:
    server = Server()
    door = authenticator(server)

    async def both() -> str:
        first = asyncio.create_task(entered(door, "k1"))
        second = asyncio.create_task(entered(door, "k1"))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).subject

    assert asyncio.run(both()) == "prod-1"
    assert len(server.asked) == 1


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


@pytest.mark.parametrize(
    "others",
    [
        [{"kty": "RSA", "kid": f"{n}", "n": "Dw", "e": "Aw"} for n in range(15_000)],
        [{"kty": "RSA", "kid": "n", "n": "_" * 1_000_000, "e": "AQAB"}],
        [{"kty": "RSA", "kid": "e", "n": jwks("k1")["keys"][0]["n"], "e": "_" * 1_000_000}],
        [{"kty": "RSA", "kid": "list", "n": [[1]], "e": "AQAB"}],
    ],
    ids=["many", "modulus", "exponent", "list"],
)
@measured
def test_many_or_huge_keys_hold_nothing_up(others: list[object]) -> None:
    read_keys(jwks("k1"))  # the first call loads what all need
    before = time.thread_time()
    keys = read_keys({"keys": [*jwks("k1")["keys"], *others]})
    assert time.thread_time() - before < LIMIT
    assert "k1" in keys


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


@dataclass
class EndlessServer:
    """Answers each request with a body that does not end, in parts."""

    head: bytes
    pause: float
    connections: set[asyncio.Task[Any] | None] = field(default_factory=set)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + self.head + b"\r\ncontent-length: 1000000000\r\n\r\n")
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(b" " * (1 if self.pause else 65_536))
                await writer.drain()
                await asyncio.sleep(self.pause)
        writer.close()

    async def fetched(self, timeout: float) -> bytes:  # noqa: ASYNC109 - what a Fetch is given
        async with await asyncio.start_server(self, "127.0.0.1") as server:
            host, port = server.sockets[0].getsockname()
            try:
                async with asyncio.timeout(20):
                    return await fetch_url(f"http://{host}:{port}/", timeout)
            finally:
                await asyncio.gather(*filter(None, self.connections))


@pytest.mark.port
@pytest.mark.parametrize(
    ("head", "pause", "reason"),
    [
        (b"200 OK", 0.02, "context deadline exceeded"),
        (b"200 OK", 0.0, "failed to parse JWKS: it has more than 1048576 bytes"),
        (b"302 Found\r\nlocation: /again", 0.0, "stopped after 10 redirects"),
        (b"503 Service Unavailable", 0.0, "JWKS endpoint returned status 503"),
    ],
)
def test_an_endless_answer_ends_the_fetch(head: bytes, pause: float, reason: str) -> None:
    with pytest.raises(FetchFailed, match=reason):
        asyncio.run(EndlessServer(head, pause).fetched(0.4 if pause else 10))


def test_only_a_regular_file_of_at_most_a_mebibyte_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (1024 * 1024 + 1))
    for path, reason in ((tmp_path, "it is not a regular file"), (large, "it has more than 1048576 bytes")):
        with pytest.raises(FetchFailed, match=reason):
            asyncio.run(fetch_url(path.as_uri(), 5))


@pytest.mark.port
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[/"])
def test_an_unreachable_url_is_a_failed_fetch(url: str) -> None:
    with pytest.raises(FetchFailed, match="failed to fetch JWKS: Get"):
        asyncio.run(fetch_url(url, 5))


@pytest.mark.process
@pytest.mark.slow
def test_the_time_of_a_fetch_begins_when_its_libraries_are_loaded() -> None:
    # In a separate interpreter, which has not loaded httpx.
    program = """
import asyncio, sys
from codeq_fake.auth.jwks import FetchFailed, fetch_url

def began(_):
    print(*(library in sys.modules for library in ("anyio", "httpx")))
    raise FetchFailed("as far as this test goes")

print("httpx" in sys.modules)
asyncio.timeout = began
try:
    asyncio.run(fetch_url("http://127.0.0.1:1/", 1))
except FetchFailed as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["False", "True True", "as far as this test goes"]


@pytest.mark.port
def test_a_fetch_over_http_reads_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr("ssl.SSLContext.load_verify_locations", lambda *given, **_: read.append(given))
    with pytest.raises(FetchFailed):
        asyncio.run(fetch_url("http://127.0.0.1:1/", 5))
    assert read == []
