from __future__ import annotations

import asyncio

import pytest

from codeq_fake.webhooks import Guard, Hop, Outcome, Outgoing, Sender
from tests.webhooks.support import answer, receiving

pytestmark = [pytest.mark.asyncio, pytest.mark.port]

HEADERS = (
    ("User-Agent", "Go-http-client/1.1"),
    ("Content-Type", "application/json"),
    ("X-CodeQ-Timestamp", "1795500630"),
    ("X-CodeQ-Signature", "5ec2e7"),
)
BODY = b'{"taskId":"1"}'


def outgoing(url: str) -> Outgoing:
    return Outgoing(url=url, headers=HEADERS, body=BODY)


async def test_a_try_is_a_post_with_the_given_body_and_headers_alone() -> None:  # W1, W2
    async with receiving() as receiver:
        await Sender().send(outgoing(f"{receiver.url}/hook?a=1"))

    assert receiver.seen == [("POST", "/hook?a=1", BODY)]
    assert receiver.received[0].headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": str(len(BODY)),
        **{name.lower(): value for name, value in HEADERS},
    }


async def test_a_compressed_answer_is_not_read() -> None:  # W3
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip"
    async with receiving({"/hook": raw}) as receiver:
        assert (await Sender().send(outgoing(f"{receiver.url}/hook"))).delivered


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_2xx_is_delivered(status: int) -> None:  # W3
    raw = f"HTTP/1.1 {status} Fine\r\nContent-Length: 0\r\n\r\n".encode()
    async with receiving({"/hook": raw}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert outcome == Outcome((Hop("POST", f"{receiver.url}/hook", status),))
    assert outcome.delivered


@pytest.mark.parametrize("status", [300, 304, 400, 404, 410, 429, 500, 503])
async def test_any_other_status_is_a_failure(status: int) -> None:  # W3, W4
    async with receiving({"/hook": answer(status, "/elsewhere")}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert len(receiver.received) == 1
    assert (outcome.status, outcome.error, outcome.delivered) == (status, None, False)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_301_302_and_303_are_followed_as_a_get_without_body(status: int) -> None:  # W4
    async with receiving({"/hook": answer(status, "/target")}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert receiver.seen == [("POST", "/hook", BODY), ("GET", "/target", b"")]
    assert receiver.received[1].headers == {
        "host": f"127.0.0.1:{receiver.port}",
        **{name.lower(): value for name, value in HEADERS},
        "referer": f"{receiver.url}/hook",
    }
    assert outcome == Outcome(
        (Hop("POST", f"{receiver.url}/hook", status), Hop("GET", f"{receiver.url}/target", 200)),
    )
    assert outcome.delivered


@pytest.mark.parametrize("status", [307, 308])
async def test_307_and_308_are_followed_as_the_same_post(status: int) -> None:  # W4
    async with receiving({"/hook": answer(status, "/target")}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert receiver.seen == [("POST", "/hook", BODY), ("POST", "/target", BODY)]
    assert receiver.received[1].headers == {**receiver.received[0].headers, "referer": f"{receiver.url}/hook"}
    assert outcome.delivered


async def test_the_referer_is_the_last_url_without_its_user() -> None:  # W4
    async with receiving({"/hook": answer(302, "/b"), "/b": answer(302, "/c")}) as receiver:
        await Sender().send(outgoing(f"{receiver.url}/hook".replace("://", "://user:secret@")))

    sent = [request.headers.get("referer") for request in receiver.received]
    assert sent[0] is None
    assert sent[1:] == [f"{receiver.url}/hook", f"{receiver.url}/b"]


async def test_the_final_answer_decides() -> None:  # W4
    async with receiving({"/hook": answer(302, "/target"), "/target": answer(503)}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert (outcome.status, outcome.delivered) == (503, False)


async def test_a_get_stays_a_get_without_body() -> None:  # W4
    async with receiving({"/hook": answer(303, "/b"), "/b": answer(307, "/c")}) as receiver:
        await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert receiver.seen == [("POST", "/hook", BODY), ("GET", "/b", b""), ("GET", "/c", b"")]


@pytest.mark.parametrize(
    ("location", "target"),
    [("/target", "/target"), ("target?q=1", "/in/target?q=1"), ("../x", "/x"), ("?q=1", "/in/hook?q=1")],
)
async def test_a_relative_location_is_resolved(location: str, target: str) -> None:  # W4
    async with receiving({"/in/hook": answer(307, location)}) as receiver:
        await Sender().send(outgoing(f"{receiver.url}/in/hook"))

    assert [request.target for request in receiver.received] == ["/in/hook", target]


async def test_an_absolute_location_may_name_another_host() -> None:  # W4
    async with receiving() as other, receiving({"/hook": answer(307, f"{other.url}/target")}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert other.seen == [("POST", "/target", BODY)]
    assert [hop.url for hop in outcome.hops] == [f"{receiver.url}/hook", f"{other.url}/target"]


@pytest.mark.parametrize("location", [None, ""])
async def test_a_redirect_without_location_is_a_failure(location: str | None) -> None:
    async with receiving({"/hook": answer(302, location)}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert (outcome.status, outcome.error, outcome.delivered) == (302, None, False)


async def test_a_circle_of_redirects_ends_after_ten_requests() -> None:
    async with receiving({"/hook": answer(307, "/hook")}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert len(receiver.received) == len(outcome.hops) == 10
    assert (outcome.error, outcome.delivered, outcome.blocked) == ("stopped after 10 redirects", False, False)


async def test_nine_redirects_are_followed() -> None:
    answers = {f"/{n}": answer(307, f"/{n + 1}") for n in range(9)}
    async with receiving(answers) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/0"))

    assert (receiver.received[-1].target, outcome.delivered) == ("/9", True)


@pytest.mark.parametrize("location", ["http://[::1/", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:port/"])
async def test_a_location_that_cannot_be_called_is_a_failure(location: str) -> None:
    async with receiving({"/hook": answer(307, location)}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert outcome.error
    assert not outcome.delivered
    assert not outcome.blocked


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/hook",
        "http://127.0.0.1@8.8.8.8/hook",
        "http://127.0.0.1:80@8.8.8.8/hook",
        r"http://127.0.0.1\@8.8.8.8/hook",
        "http://8.8.8.8#@127.0.0.1/hook",
        "http://[::ffff:8.8.8.8]/hook",
        "http://[2001:4860:4860::8888]/hook",
        "https://your-app.com/hook",
        "http://127.0.0.1.nip.io/hook",
        "http://localhost@your-app.com/hook",
        "http://127.1/hook",
    ],
)
async def test_a_public_host_is_blocked_and_not_called(url: str) -> None:
    outcome = await Sender().send(outgoing(url))

    assert outcome == Outcome((Hop("POST", url),), outcome.error, blocked=True)
    assert outcome.error
    assert (outcome.status, outcome.delivered) == (None, False)


@pytest.mark.parametrize("target", ["http://8.8.8.8/x", "https://your-app.com/x", "//8.8.8.8/x"])
@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_a_public_host_is_blocked_and_not_called(status: int, target: str) -> None:
    async with receiving({"/hook": answer(status, target)}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert [hop.status for hop in outcome.hops] == [status, None]
    assert outcome.blocked
    assert not outcome.delivered


async def test_a_redirect_to_a_name_with_a_public_address_is_blocked() -> None:
    async def resolve(name: str) -> list[str]:
        return {"app": ["127.0.0.1"], "rebound": ["8.8.8.8"]}[name]

    async with receiving() as receiver:
        receiver.answers = {"/hook": answer(302, f"http://rebound:{receiver.port}/x")}
        outcome = await Sender(guard=Guard(resolve=resolve)).send(outgoing(f"http://app:{receiver.port}/hook"))

    assert receiver.seen == [("POST", "/hook", BODY)]
    assert outcome.blocked


@pytest.mark.parametrize("reply", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200"])
async def test_a_receiver_that_does_not_speak_http_is_a_failure(reply: bytes) -> None:
    async with receiving({"/": reply}, hangs_up=True) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/"))

    assert outcome.error
    assert (outcome.status, outcome.delivered, outcome.blocked) == (None, False, False)


async def test_a_name_that_nobody_knows_is_a_failure() -> None:
    async def resolve(name: str) -> list[str]:
        raise OSError(f"{name}: not known")

    outcome = await Sender(guard=Guard(resolve=resolve)).send(outgoing("http://app/hook"))

    assert outcome == Outcome((Hop("POST", "http://app/hook"),), "OSError: app: not known")


async def test_a_location_beside_another_status_means_nothing() -> None:  # W4
    async with receiving({"/hook": answer(201, "http://[")}) as receiver:
        assert (await Sender().send(outgoing(f"{receiver.url}/hook"))).delivered


async def test_a_refused_connection_is_a_failure() -> None:
    async with receiving() as receiver:
        url = receiver.url
    outcome = await Sender().send(outgoing(url))

    assert outcome.error
    assert outcome.error.startswith("ConnectError: ")
    assert not outcome.delivered


@pytest.mark.parametrize(
    "url", ["http://0177.0.0.1/", "http://127.0.0.1:99999/", "http:///x", "mailto:a@b", "http://\u2024/"]
)
async def test_a_url_that_cannot_be_called_is_a_failure(url: str) -> None:
    outcome = await Sender().send(outgoing(url))

    assert outcome.error
    assert not outcome.delivered


async def test_a_header_that_cannot_be_sent_is_a_failure() -> None:
    async with receiving() as receiver:
        for value in ("a\nb", "\udc80"):
            outcome = await Sender().send(Outgoing(receiver.url, (("traceparent", value),), BODY))
            assert outcome.error
    assert receiver.received == []


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async with receiving({"/hook": answer(200, length=1_000_000)}) as receiver:
        outcome = await Sender().send(outgoing(f"{receiver.url}/hook"))

    assert outcome.delivered


async def test_a_cancelled_try_hangs_up() -> None:  # W3
    async with receiving({"/hook": b""}) as receiver:
        trying = asyncio.create_task(Sender().send(outgoing(f"{receiver.url}/hook")))
        await receiver.asked.wait()
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
        await asyncio.gather(*filter(None, receiver.connections))
