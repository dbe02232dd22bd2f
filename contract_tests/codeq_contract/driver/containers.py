"""The real server with its store in containers, or any image that takes the same settings."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from codeq_contract.stores import EMBEDDED, fake_profile, profile_of

from .clocks import NotInTimeError, RealClock
from .connections import answers, connect, with_direct_loopback
from .host_address import address_for
from .interface import Effort
from .server_settings import Setup
from .servers import NotRunError, Served
from .store_processes import embedded_settings
from .webhook_program import PORT
from .webhooks import Answer, Received, Receiver, local_webhook

if TYPE_CHECKING:
    import httpx
    from docker import DockerClient
    from testcontainers.core.container import DockerContainer


_SERVER_PORT = 8080
#: Docker's word for the address of this machine.
_GATEWAY = "host-gateway"
_PATIENCE = 60.0
_POLL_INTERVAL = 0.1
_LOG_LINES = 50
_RECEIVER = "python:3.12-slim"
_PROGRAM = Path(__file__).with_name("webhook_program.py")
_CONFIGURATION = "/etc/codeq/codeq.yaml"
#: An image may check its health by a process every few seconds. We see ourselves whether a server answers.
_NO_HEALTH_CHECK = {"test": ["NONE"]}

_KVROCKS_PORT, _REDIS_PORT = 6666, 6379


@dataclass(frozen=True, slots=True)
class Containers:
    """Servers in containers: `image` with `store` beside it, in one network namespace.

    `receiver` is an image with Python for the webhook. It is empty if the containers can reach this machine, so that
    the webhook runs here. `version` is for a fake, which imitates any. `host` is the name of this machine inside the
    containers.
    """

    image: str
    store: str
    profile: str
    receiver: str = ""
    version: str = ""
    name: str = "container"
    host: str = "host.docker.internal"
    effort: Effort = field(default_factory=lambda: Effort(examples=5, steps=12, longest_wait=2))

    @classmethod
    def of(cls, image: str, store: str, profile: str = "", receiver: str = "", version: str = "") -> Containers:
        """Find the engine, and the profile of the store unless one is given. Raises NotRunError without an engine.

        It sets variables of this process for docker and testcontainers.
        """
        # docker and testcontainers use the proxies of the environment, also for an engine on this machine.
        os.environ.update(with_direct_loopback(os.environ))
        # The reaper of testcontainers is another image, which may be missing. Our contexts stop what they start.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        if Path("/.dockerenv").exists():
            os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
        _engine()
        if not receiver and _is_elsewhere():
            receiver = _RECEIVER
        return cls(image, store, profile or profile_of(store), receiver, version)

    @contextmanager
    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> Iterator[tuple[Receiver, str]]:
        """As `Server.receive`. Raises NotRunError if containers do not reach it, or if an image is not available."""
        if not self.receiver:
            with local_webhook(now, keys, bind=_host_address(self.store, self.host), host=self.host) as receiver:
                yield receiver
            return
        program = ["python3", "-c", _PROGRAM.read_text(encoding="utf-8")]
        container = new_container(self.receiver).with_exposed_ports(PORT).with_command(program)
        with _started(container):
            url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(PORT)}"
            _await_server(container, f"{url}/_now")
            with receiving(url, now, keys) as hooks:
                yield hooks, f"http://{self.host}:{container.get_exposed_port(PORT)}"

    @contextmanager
    def serve(self, setup: Setup) -> Iterator[Served]:
        """As `Server.serve`. Raises NotRunError if an image is not available or the server does not answer."""
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder, "codeq.yaml")
            configuration.write_text(setup.yaml, encoding="utf-8")
            # The server runs as another user.
            Path(folder).chmod(0o755)
            configuration.chmod(0o644)
            store = _on_this_machine(self.store, self.host).with_exposed_ports(_SERVER_PORT)
            with _started(store):
                ping = ["redis-cli", "-p", str(_port_of(self.store)), "PING"]
                _await(lambda: store.exec(ping).output.strip() == b"PONG", store)
                # A network for each server would be one of the 31 that an engine has by default.
                # Without `network` testcontainers adds that of a container around the suite.
                in_store = {"network": None, "network_mode": f"container:{_id(store)}"}
                server = new_container(self.image).with_kwargs(**in_store, healthcheck=_NO_HEALTH_CHECK)
                if setup.yaml:
                    server.with_volume_mapping(str(configuration), _CONFIGURATION)
                for name, value in self._environment(setup).items():
                    server.with_env(name, value)
                with _started(server):
                    url = f"http://{store.get_container_host_ip()}:{store.get_exposed_port(_SERVER_PORT)}"
                    _await_server(server, f"{url}/metrics")
                    about = {"server": _digest(server), "store": _digest(store)}
                    yield Served(url, self.profile, about, lambda: {"server": _log(server), "store": _log(store)})

    def _environment(self, setup: Setup) -> dict[str, str]:
        """The environment variables of the server's container."""
        return {
            "LOCAL_ARTIFACTS_DIR": "/tmp/codeq-artifacts",  # noqa: S108 - inside the container
            **setup.environment,
            "PORT": str(_SERVER_PORT),
            "REDIS_ADDR": f"127.0.0.1:{_port_of(self.store)}",
            # The recorded server ran without a file. Its behaviour with an empty one is unknown.
            **({"CODEQ_CONFIG_PATH": _CONFIGURATION} if setup.yaml else {}),
            **(embedded_settings("/tmp/codeq-data") if self.profile == EMBEDDED else {}),  # noqa: S108 - as above
            # Only for images of the fake, which imitate the store beside them. The real server ignores it.
            "CODEQ_FAKE_PROFILE": fake_profile(self.version, self.profile),
        }


def _is_elsewhere() -> bool:
    """Whether the engine is on another machine, so that its containers cannot reach this one."""
    host = urlsplit(os.environ.get("DOCKER_HOST", ""))
    return host.scheme in ("tcp", "http", "https", "ssh") and host.hostname not in ("127.0.0.1", "localhost", "::1")


@cache
def _host_address(store: str, host: str) -> str:
    """The address on which this machine listens for containers, found once in one of the store's image."""
    container = _on_this_machine(store, host)
    with _started(container):
        return address_for(container.get_wrapped_container(), host)


def _on_this_machine(image: str, host: str) -> DockerContainer:
    """A container to which this machine has the name `host`."""
    return new_container(image).with_kwargs(extra_hosts={host: _GATEWAY})


def _engine() -> DockerClient:
    """The container engine. Raises NotRunError if none answers, and ImportError without the extra `contract`."""
    # All of the extra `contract`. What is not installed is missed here, before an engine that does not answer.
    import docker  # noqa: PLC0415
    import testcontainers  # noqa: F401, PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        return docker.from_env()
    except DockerException as error:
        raise NotRunError(f"no Docker engine answers: {error}") from None


def new_container(image: str) -> DockerContainer:
    """A container of an image, not started."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - the extra `contract` brings it

    return DockerContainer(image)


@contextmanager
def _started(container: DockerContainer) -> Iterator[None]:
    from docker.errors import APIError, ImageNotFound  # noqa: PLC0415 - as above

    try:
        container.start()
        yield
    except (APIError, ImageNotFound) as error:
        raise NotRunError(f"image {container.image}: {error}") from None
    finally:
        container.stop()  # also if a Ctrl-C came while it started


def _port_of(store: str) -> int:
    return _KVROCKS_PORT if "kvrocks" in store else _REDIS_PORT


def _await_server(server: DockerContainer, url: str) -> None:
    _await(lambda: answers(url), server)


def _await(answers: Callable[[], bool], container: DockerContainer) -> None:
    try:
        RealClock().eventually(answers, within=_PATIENCE, every=_POLL_INTERVAL)
    except NotInTimeError:
        raise NotRunError(f"{container.image} does not answer within {_PATIENCE:g} s\n{_log(container)}") from None


def _id(container: DockerContainer) -> str:
    return str(container.get_wrapped_container().id)


def _digest(container: DockerContainer) -> str:
    image = container.get_wrapped_container().image
    return f"{container.image} ({image.short_id if image is not None else 'unknown'})"


def _log(container: DockerContainer) -> str:
    output, errors = container.get_logs()
    return "\n".join((output + errors).decode(errors="replace").splitlines()[-_LOG_LINES:])


class RemoteReceiver(Receiver):
    """A receiver that keeps its answers and requests in the program in the container."""

    def __init__(self, now: Callable[[], int], http: httpx.Client) -> None:
        super().__init__(now)
        self._http = http
        asked = now()
        remote: int = http.get("/_now").json()
        # The engine has its own clock.
        self._skew = (asked + now()) // 2 - remote

    def answer(self, path: str, *answers: Answer) -> None:
        """As `Receiver.answer`."""
        self._http.post("/_answers", json={"path": path, "answers": [asdict(answer) for answer in answers]})

    def received(self, path: str) -> list[Received]:
        """As `Receiver.received`."""
        return [self._read(request) for request in self._http.get("/_received", params={"path": path}).json()]

    def _read(self, request: Mapping[str, Any]) -> Received:
        body = base64.b64decode(request["body"])
        return Received(request["at"] + self._skew, request["method"], request["path"], request["headers"], body)


@contextmanager
def receiving(url: str, now: Callable[[], int], keys: Mapping[str, Any]) -> Iterator[RemoteReceiver]:
    """Connect to `webhook_program` at `url`, and make it serve `keys`."""
    with connect(url, direct=True) as http:
        http.post("/_keys", json=keys)
        yield RemoteReceiver(now, http)
