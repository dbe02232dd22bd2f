from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.webhooks.exchange import BlockedError
from codeq_fake.webhooks.guard import Guard, look_up

if TYPE_CHECKING:
    from collections.abc import Sequence


class Names:
    """A resolver with a fixed table, which records the names that it is asked for."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        try:
            return self.addresses[name.replace(".", "_").replace("-", "_")]
        except KeyError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None


def reached(host: str, names: Names | None = None) -> Sequence[str]:
    return asyncio.run(Guard(resolve=names or Names()).addresses(host))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0:0:0:0:0:0:0:1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "fd00::1",
        "0.0.0.0",  # noqa: S104 - an address to call, not to listen on
        "::",
        "::ffff:127.0.0.1",
        "::ffff:192.168.0.1",
    ],
)
def test_this_machine_and_private_networks_may_be_called(host: str) -> None:
    assert len(reached(host)) == 1


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "126.255.255.255",
        "128.0.0.1",
        "11.0.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.169.0.1",
        "169.253.0.1",
        "169.255.0.1",
        "100.64.0.1",  # a provider's network, shared with strangers
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "::ffff:808:808",
        "64:ff9b::7f00:1",  # loopback, translated by a gateway elsewhere
        "2002:7f00:1::",  # as above, by 6to4
        "ff02::1",
    ],
)
def test_public_addresses_are_blocked(host: str) -> None:
    with pytest.raises(BlockedError, match="not on this machine or a private network"):
        reached(host)


@given(st.ip_addresses(v=4))
def test_an_ipv4_mapped_address_is_judged_as_the_ipv4_address(address: object) -> None:
    def blocked(host: str) -> bool:
        try:
            reached(host)
        except BlockedError:
            return True
        return False

    assert blocked(f"::ffff:{address}") == blocked(str(address))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "app.localhost"])
def test_localhost_is_loopback_without_a_question(host: str) -> None:
    names = Names()

    assert reached(host, names) == ("127.0.0.1", "::1")
    assert names.asked == []


@pytest.mark.parametrize("host", ["app", "hooks.test", "printer.local", "nas.home.arpa", "host.docker.internal"])
def test_a_name_that_cannot_be_public_is_looked_up(host: str) -> None:
    names = Names(**{host.replace(".", "_"): ["172.18.0.3", "fd00::3"]})

    assert reached(host, names) == ["172.18.0.3", "fd00::3"]
    assert names.asked == [host]


@pytest.mark.parametrize(
    "host",
    [
        "your-app.com",
        "localhost.your-app.com",
        "127.0.0.1.nip.io",
        "hooks.test.com",
        "mytest.example",
        "internal.io",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "010.8.8.8",
        "a..b",
    ],
)
def test_a_name_that_may_be_public_is_blocked_without_a_question(host: str) -> None:
    names = Names()

    with pytest.raises(BlockedError, match="not even looked up"):
        reached(host, names)
    assert names.asked == []


@pytest.mark.parametrize("addresses", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], ["10.0.0.1", "::ffff:8.8.8.8"]])
def test_one_public_address_blocks_a_name(addresses: Sequence[str]) -> None:
    with pytest.raises(BlockedError, match=r"^app at .*8 is not on .*; --webhook-allow app would"):
        reached("app", Names(app=addresses))


METADATA = [
    "169.254.169.254",
    "169.254.10.20",
    "169.254.170.23",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "fd00:ec2::254",
    "fd00:0ec2:0:0:0:0:0:254",
    "fd20:ce::254",
]
#: Those that are no private addresses either.
PUBLIC_METADATA = [
    "100.100.100.200",
    "168.63.129.16",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "2001:0:a9fe:a9fe::",
    "2001:0:808:808::5601:5601",
    "2001:db8::5efe:a9fe:a9fe",
    "2001:db8::200:5efe:a9fe:a9fe",
]


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_is_blocked_unless_it_is_named(address: str) -> None:
    with pytest.raises(BlockedError, match="link-local, or a metadata service of a cloud; --webhook-allow"):
        reached(address)
    assert asyncio.run(Guard([address]).allows(address))


@pytest.mark.parametrize("address", METADATA + PUBLIC_METADATA)
@pytest.mark.parametrize("host", ["metadata.google.internal", "app", "2852039166", "0xa9fea9fe"])
def test_a_name_of_a_metadata_service_is_blocked_unless_it_is_named(host: str, address: str) -> None:
    names = Names(**{host.replace(".", "_"): ["10.0.0.1", address]})
    with pytest.raises(BlockedError, match=f"^{host} at .* is "):
        reached(host, names)
    assert asyncio.run(Guard([host], resolve=names).allows(host))


@pytest.mark.parametrize("address", METADATA + PUBLIC_METADATA)
def test_allowing_every_host_does_not_open_metadata_services(address: str) -> None:
    guard = Guard(["*"], resolve=Names(evil_example=["8.8.8.8", address]))
    for host in (address, "evil.example"):
        with pytest.raises(BlockedError, match="metadata service"):
            asyncio.run(guard.allows(host))
    assert asyncio.run(guard.allows("a-name-that-only-a-proxy-knows.example"))


@pytest.mark.parametrize("host", ["metadata.google.internal", "Metadata.goog.", "instance-data", "metadata"])
def test_a_proxy_is_not_asked_for_a_metadata_service_that_this_machine_does_not_know(host: str) -> None:
    with pytest.raises(BlockedError, match="is a metadata service of a cloud; --webhook-allow"):
        asyncio.run(Guard(["*"], resolve=Names()).allows(host))
    assert asyncio.run(Guard(["*", host], resolve=Names()).allows(host))
    # In a compose file a service may have that name.
    assert asyncio.run(Guard(["*"], resolve=Names(metadata=["10.0.0.2"])).allows("metadata"))


@pytest.mark.parametrize("number", ["2852039166", "0xA9FEA9FE", "025177524776", "169.254.43518", "0251.0376.0251.0376"])
@pytest.mark.parametrize("allow", [[], ["*"]])
def test_a_metadata_service_in_another_spelling_is_blocked(number: str, allow: list[str]) -> None:
    async def reach() -> None:
        guard = Guard(allow)
        if not await guard.allows(number):
            await guard.addresses(number)

    with pytest.raises((BlockedError, OSError)):
        asyncio.run(reach())


@pytest.mark.parametrize("number", ["134744072", "0x08080808", "01002004010"])
def test_a_public_address_spelled_as_one_number_is_blocked(number: str) -> None:
    # What the system's resolver makes of such a number is its own affair; it is either refused or judged.
    with pytest.raises((BlockedError, OSError)):
        asyncio.run(Guard().addresses(number))


def test_a_private_name_without_an_address_is_an_error_not_a_block() -> None:
    with pytest.raises(OSError, match="not known"):
        reached("app")


def test_the_system_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in asyncio.run(look_up("127.0.0.1"))


@pytest.mark.parametrize(
    ("allow", "host"),
    [
        ("your-app.com", "your-app.com"),
        ("Your-App.com", "YOUR-app.COM."),
        ("8.8.8.8", "8.8.8.8"),
        ("[2001:db8::1]", "2001:db8:0::1"),
        ("*", "anything.example"),
        ("*", "8.8.8.8"),
    ],
)
def test_an_allowed_host_is_open(allow: str, host: str) -> None:
    assert asyncio.run(Guard([allow], resolve=Names()).allows(host))


@pytest.mark.parametrize(
    ("allow", "host"),
    [
        ("your-app.com", "api.your-app.com"),
        ("your-app.com", "your-app.com.evil.example"),
        ("your-app.com", "notyour-app.com"),
        ("8.8.8.8", "8.8.4.4"),
    ],
)
def test_an_allowed_host_opens_itself_alone(allow: str, host: str) -> None:
    assert not asyncio.run(Guard([allow]).allows(host))


@pytest.mark.parametrize("text", ["", "https://your-app.com", "your-app.com:443", "your-app.com/hook", "me@host"])
def test_what_is_no_host_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="neither a host name"):
        Guard([text])
