from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from codeq_fake.webhooks import Guard, Outgoing, Sender
from tests.webhooks.support import answer, receiving

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

ROOT = Path(__file__).parents[2]
BODY = b'{"taskId":"1"}'


def outgoing(url: str) -> Outgoing:
    return Outgoing(url=url, headers=(("Content-Type", "application/json"),), body=BODY)


async def this_machine(_: str) -> list[str]:
    return ["::1", "127.0.0.1"]


class Inbox:
    """An application that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.take, methods=["GET", "POST"])])

    async def take(self, request: Request) -> Response:
        self.posted.append((request.method, str(request.url), await request.body()))
        if target := request.query_params.get("to"):
            return RedirectResponse(target, 307)
        return Response(status_code=202)


@pytest.mark.port
@pytest.mark.asyncio
async def test_a_name_is_called_at_the_address_that_was_checked_under_its_own_name() -> None:
    async with receiving() as receiver:
        outcome = await Sender(guard=Guard(resolve=this_machine)).send(outgoing(f"http://hooks.test:{receiver.port}/"))

    assert outcome.delivered
    assert receiver.received[0].headers["host"] == f"hooks.test:{receiver.port}"


@pytest.mark.port
@pytest.mark.asyncio
async def test_localhost_reaches_a_receiver_on_ipv4() -> None:
    async with receiving() as receiver:
        assert (await Sender().send(outgoing(f"http://localhost:{receiver.port}/"))).delivered


@pytest.mark.port
@pytest.mark.asyncio
async def test_the_any_address_is_this_machine() -> None:
    async with receiving() as receiver:
        assert (await Sender().send(outgoing(f"http://0.0.0.0:{receiver.port}/"))).delivered


@pytest.mark.port
@pytest.mark.asyncio
async def test_credentials_in_the_url_are_sent_as_basic_authentication() -> None:
    async with receiving() as receiver:
        await Sender().send(outgoing(f"http://me:pass@127.0.0.1:{receiver.port}/"))

    assert receiver.received[0].headers["authorization"] == "Basic bWU6cGFzcw=="
    assert receiver.received[0].headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.port
@pytest.mark.asyncio
async def test_cookies_are_not_kept() -> None:
    cookie = answer(200).replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")
    async with receiving({"/": cookie}) as receiver:
        sender = Sender()
        for _ in range(2):
            await sender.send(outgoing(f"{receiver.url}/"))

    assert "cookie" not in receiver.received[1].headers


@pytest.mark.port
@pytest.mark.asyncio
async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert (await Sender().send(outgoing(f"{receiver.url}/"))).delivered

    assert proxy.received == []


@pytest.mark.port
@pytest.mark.asyncio
@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0"])  # noqa: S104 - a host to call
async def test_this_machine_is_called_directly_even_if_every_host_is_allowed(host: str) -> None:
    async with receiving() as receiver:
        outcome = await Sender(guard=Guard(["*"])).send(outgoing(f"http://{host}:{receiver.port}/"))

    assert outcome.delivered


@pytest.mark.port
@pytest.mark.asyncio
async def test_an_opened_host_is_called_by_the_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        outcome = await Sender(guard=Guard(["your-app.com"])).send(outgoing("http://your-app.com/hook"))

    assert proxy.seen == [("POST", "http://your-app.com/hook", BODY)]
    assert outcome.delivered


@pytest.mark.asyncio
@pytest.mark.parametrize("proxy", ["nonsense://127.0.0.1:1", "socks5://127.0.0.1:1"])
async def test_a_proxy_setting_that_cannot_be_used_is_a_failure(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)

    outcome = await Sender(guard=Guard(["*"])).send(outgoing("http://your-app.com/hook"))

    assert outcome.error
    assert not outcome.blocked


def certificate(name: str, folder: Path) -> Path:
    """Write a self-signed certificate for `name` with its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.mark.port
@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "error"), [("hooks.test", None), ("other.test", "CERTIFICATE_VERIFY_FAILED")])
async def test_https_checks_the_certificate_of_the_name(
    name: str, error: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate("hooks.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    async with receiving(tls=tls) as receiver:
        outcome = await Sender(guard=Guard(resolve=this_machine)).send(outgoing(f"https://{name}:{receiver.port}/"))

    assert outcome.delivered is (error is None)
    assert (error or "") in (outcome.error or "")


@pytest.mark.process
def test_httpx_is_not_imported_before_something_is_sent() -> None:
    program = "import sys; from codeq_fake.webhooks import Sender; Sender(); sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.port
def test_one_sender_serves_one_event_loop_after_another() -> None:
    sender = Sender()

    async def try_once() -> bool:
        async with receiving() as receiver:
            return (await sender.send(outgoing(receiver.url))).delivered

    assert [asyncio.run(try_once()) for _ in range(2)] == [True, True]


@pytest.mark.asyncio
async def test_a_mounted_application_is_called_in_process_whatever_its_address() -> None:
    inbox = Inbox()
    outcome = await Sender(mounts={"https://your-app.com": inbox.app}).send(outgoing("https://your-app.com/hook"))

    assert inbox.posted == [("POST", "https://your-app.com/hook", BODY)]
    assert (outcome.status, outcome.delivered) == (202, True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("http://hooks.test", "http://hooks.test:80/x"),
        ("http://hooks.test:80", "http://hooks.test/x"),
        ("http://HOOKS.test/", "HTTP://hooks.TEST/x"),
        ("https://hooks.test", "https://hooks.test:443/x"),
        ("http://hooks.test:8080", "http://hooks.test:8080/x"),
        ("http://[::1]:8080", "http://[0::1]:8080/x"),
    ],
)
async def test_an_origin_is_scheme_host_and_port(origin: str, url: str) -> None:
    inbox = Inbox()

    assert (await Sender(mounts={origin: inbox.app}).send(outgoing(url))).delivered
    assert len(inbox.posted) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["https://your-app.com/", "http://your-app.com:81/", "http://api.your-app.com/"])
async def test_another_origin_is_not_the_mounted_one(url: str) -> None:
    inbox = Inbox()

    assert (await Sender(mounts={"http://your-app.com": inbox.app}).send(outgoing(url))).blocked
    assert inbox.posted == []


@pytest.mark.parametrize(
    "origin",
    [
        "hooks.test",
        "http://",
        "ftp://hooks.test",
        "http://hooks.test/x",
        "http://a@hooks.test",
        "http://h?q",
        "http://h#f",
    ],
)
def test_what_is_no_origin_cannot_be_mounted(origin: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        Sender().mount(origin, Inbox().app)


@pytest.mark.asyncio
async def test_redirects_lead_from_one_mounted_application_to_another() -> None:  # W4
    first, second = Inbox(), Inbox()
    sender = Sender(mounts={"http://a.test": first.app, "http://b.test": second.app})

    outcome = await sender.send(outgoing("http://a.test/hook?to=http://b.test/target"))

    assert second.posted == [("POST", "http://b.test/target", BODY)]
    assert [hop.status for hop in outcome.hops] == [307, 202]


@pytest.mark.asyncio
async def test_a_redirect_out_of_a_mounted_application_meets_the_guard() -> None:  # W4
    inbox = Inbox()

    outcome = await Sender(mounts={"http://a.test": inbox.app}).send(outgoing("http://a.test/?to=http://8.8.8.8/"))

    assert outcome.blocked


@pytest.mark.asyncio
async def test_what_a_mounted_application_raises_is_a_logged_500(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise AssertionError("unexpected callback")

    outcome = await Sender(mounts={"http://hooks.test": broken}).send(outgoing("http://hooks.test/hook"))

    assert (outcome.status, outcome.delivered) == (500, False)
    assert "the application mounted for http://hooks.test/hook failed" in caplog.text
    assert "unexpected callback" in caplog.text
