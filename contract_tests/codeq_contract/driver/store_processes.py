"""The store of a server that is started as a command: one that the suite starts, one that runs already, or its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from codeq_contract.stores import EMBEDDED, kvrocks_profile

from .processes import Launch, Program, running
from .servers import NotRunError

_LOOPBACK = "127.0.0.1"
_TIMEOUT = 2.0
_MOST_BYTES = 65_536
#: So that nothing is kept, and Redis does not refuse writes because it could not keep them.
_REDIS_ARGUMENTS = ("--save", "", "--appendonly", "no")


@dataclass(frozen=True, slots=True)
class ServedStore:
    """A store that answers: the settings of a server that uses it, its profile (K8), what it is, and its log's end."""

    settings: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    about: str = ""
    log: Callable[[], str] = str


class Store(Protocol):
    """Where a server keeps its tasks."""

    @property
    def is_shared(self) -> bool:
        """Whether tasks of others may be in it."""

    def serve(self, folder: Path) -> AbstractContextManager[ServedStore]:
        """The store, in `folder` if it needs one. May raise NotRunError."""


@dataclass(frozen=True, slots=True)
class NoStore:
    """For a server that keeps its tasks itself."""

    is_shared: bool = False

    @contextmanager
    def serve(self, folder: Path) -> Iterator[ServedStore]:  # noqa: ARG002 - the protocol's
        """As `Store.serve`."""
        yield ServedStore()


@dataclass(frozen=True, slots=True)
class StoreProgram:
    """An empty store for each server, started as a program: redis-server or kvrocks."""

    program: Program
    is_shared: bool = False

    @contextmanager
    def serve(self, folder: Path) -> Iterator[ServedStore]:
        """As `Store.serve`."""
        data = folder / "data"
        data.mkdir()
        launch = Launch(
            self.program,
            folder,
            answers=_answers,
            remedy="it must be redis-server or kvrocks, or take their arguments",
            arguments=("--bind", _LOOPBACK, "--dir", str(data), *_arguments(self.program)),
            port_flag="--port",
        )
        with running(launch) as process:
            address = f"{_LOOPBACK}:{process.port}"
            profile, about = _identity(_information(address))
            yield ServedStore({"REDIS_ADDR": address}, profile, about, process.log)


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """The store that is a part of the server, with an empty folder for each."""

    is_shared: bool = False

    @contextmanager
    def serve(self, folder: Path) -> Iterator[ServedStore]:
        """As `Store.serve`."""
        yield ServedStore(embedded_settings(str(folder / "data")), EMBEDDED, "Pebble")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A store that runs already, at HOST:PORT. All servers of a run share it, perhaps with others."""

    address: str
    password: str = ""
    is_shared: bool = True

    @contextmanager
    def serve(self, folder: Path) -> Iterator[ServedStore]:  # noqa: ARG002 - the protocol's
        """As `Store.serve`."""
        try:
            profile, about = _identity(_information(self.address, self.password))
        except (OSError, ValueError) as error:
            remedy = "start one there, or let the suite do that: --store redis-server"
            raise NotRunError(f"--store-addr {self.address}: no store answers: {error}; {remedy}") from None
        password = {"REDIS_PASSWORD": self.password} if self.password else {}
        yield ServedStore({"REDIS_ADDR": self.address, **password}, profile, f"{about} at {self.address}")


def embedded_settings(folder: str) -> dict[str, str]:
    """The settings with which a server keeps its tasks itself, in that folder."""
    return {"PERSISTENCE_PROVIDER": EMBEDDED, "PERSISTENCE_CONFIG": json.dumps({"path": folder})}


def _arguments(program: Program) -> tuple[str, ...]:
    return () if "kvrocks" in program.words[0] else _REDIS_ARGUMENTS


def _answers(port: int) -> bool:
    try:
        return bool(_information(f"{_LOOPBACK}:{port}"))
    except (OSError, ValueError):
        return False


def _identity(information: Mapping[str, str]) -> tuple[str, str]:
    """The profile of a store that says this of itself, and its name with its version."""
    version = information.get("kvrocks_version") or information.get("version")  # which Redis does not have
    if version:
        return kvrocks_profile(version), f"KVRocks {version}"
    return "redis", f"Redis {information['redis_version']}"


def _information(address: str, password: str = "") -> dict[str, str]:
    """What a store says of itself. Raises OSError, or ValueError if it is no store or refuses to answer."""
    host, _, port = address.rpartition(":")
    commands = [f"AUTH {password}"] if password else []
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT) as connection:
        connection.sendall("".join(f"{command}\r\n" for command in (*commands, "INFO server", "QUIT")).encode())
        with connection.makefile("rb") as stream:
            lines = stream.read(_MOST_BYTES).decode(errors="replace").splitlines()
    information = dict(line.split(":", 1) for line in lines if ":" in line)
    if information.keys().isdisjoint({"redis_version", "kvrocks_version", "version"}):
        raise ValueError(next((line.lstrip("-") for line in lines), "it says nothing"))
    return information
