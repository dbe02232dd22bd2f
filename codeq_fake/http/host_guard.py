"""The host guard: a web page cannot call a fake on this machine by a name that it lets resolve to this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.webhooks.guard import is_loopback

from .rejections import ForeignHost

#: How many accepted values are remembered: ports and spellings make many.
_MOST = 64


class HostGuard:
    """Checks the `Host` of requests that come over loopback while the tokens are those that everyone knows.

    A page of `evil.example` whose name resolves to 127.0.0.1 (DNS rebinding) sends its name as the host. A request
    without a host does not come from a browser.
    """

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime
        #: Values that are accepted without a check: no host or an empty one, and those that `check` has accepted.
        self.known: set[bytes | None] = {None, b""}

    def check(self, host: bytes | None, scope: Scope) -> None:
        """Check a value that is not in `known`, and remember it there if it is accepted. Raises ForeignHost."""
        config = self._runtime.config
        if config.identities or config.any_host or config.settings.auth_given:
            return
        text = (host or b"").decode("latin-1")
        name = host_name(text)
        # The private domain .internal is in no public DNS. Containers call their host by such a name.
        if is_loopback(name) or name.endswith(".internal"):
            if len(self.known) < _MOST:
                self.known.add(host)
        elif came_by_loopback(scope):
            raise ForeignHost(text)


def is_bound_to_loopback(address: str) -> bool:
    """Whether a server at this address is reached from this machine only. At 0.0.0.0 it is reached from others."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost" or address.endswith(".localhost")


def came_by_loopback(scope: Scope) -> bool:
    """Whether a browser on this machine may have sent this: any name can resolve to it (DNS rebinding).

    A call in process has no address.
    """
    server = scope.get("server")
    return server is not None and is_bound_to_loopback(server[0])


def host_name(host: str) -> str:
    """The name in the value of a `Host` header, in lower case; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    return parts.hostname or "" if parts.username is None else ""
