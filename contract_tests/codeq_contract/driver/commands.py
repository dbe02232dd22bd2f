"""The server as a program of this machine, or any program that takes the same settings."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from codeq_contract.stores import fake_profile

from .connections import answers
from .interface import Effort
from .processes import Launch, Program, running
from .server_settings import Setup
from .servers import Served
from .store_processes import NoStore, Store
from .webhooks import Receiver, local_webhook

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Command:
    """Servers started as `program`, with `store` beside each. `profile` is that of the store, if it does not tell.

    `version` is for a fake, which imitates any.
    """

    program: Program
    store: Store = field(default_factory=NoStore)
    profile: str = ""
    version: str = ""
    name: str = "command"
    effort: Effort = field(default_factory=lambda: Effort(examples=5, steps=12, longest_wait=2))
    #: Seconds in which a server must answer.
    patience: float = 60.0

    def receive(self, now: Callable[[], int], keys: Mapping[str, Any]) -> AbstractContextManager[tuple[Receiver, str]]:
        """As `Server.receive`."""
        return local_webhook(now, keys, bind=_LOOPBACK, host=_LOOPBACK)

    @contextmanager
    def serve(self, setup: Setup) -> Iterator[Served]:
        """As `Server.serve`. Raises NotRunError if the program or its store does not start, or does not answer."""
        with tempfile.TemporaryDirectory() as name, ExitStack() as started:
            folder = Path(name)
            store = started.enter_context(self.store.serve(folder))
            profile = self.profile or store.profile
            launch = Launch(
                self.program,
                folder,
                answers=_serves_metrics,
                remedy="it must listen on the port in the variable PORT",
                patience=self.patience,
                environment={
                    **setup.environment,
                    **store.settings,
                    **_settings_of_files(folder, setup),
                    # Only for the fake, which imitates the store. The real server ignores it.
                    "CODEQ_FAKE_PROFILE": fake_profile(self.version, profile),
                },
            )
            server = started.enter_context(running(launch))
            url = f"http://{_LOOPBACK}:{server.port}"
            about = {"server": _digest(self.program.words[0]), "store": store.about}
            yield Served(
                url,
                profile,
                {name: text for name, text in about.items() if text},
                logs=lambda: {"server": server.log(), "store": store.log()},
                shares_store=self.store.is_shared,
            )


def _serves_metrics(port: int) -> bool:
    return answers(f"http://{_LOOPBACK}:{port}/metrics")


def _settings_of_files(folder: Path, setup: Setup) -> dict[str, str]:
    """The settings that name files."""
    settings = {"LOCAL_ARTIFACTS_DIR": setup.environment.get("LOCAL_ARTIFACTS_DIR", str(folder / "artifacts"))}
    if not setup.yaml:
        # The recorded server ran without a file. Its behaviour with an empty one is unknown.
        return settings
    configuration = folder / "codeq.yaml"
    configuration.write_text(setup.yaml, encoding="utf-8")
    return {**settings, "CODEQ_CONFIG_PATH": str(configuration)}


@cache
def _digest(file: str) -> str:
    """A file's name with the beginning of its SHA-256, which tells builds apart."""
    with Path(file).open("rb") as program:
        return f"{Path(file).name} (sha256 {hashlib.file_digest(program, 'sha256').hexdigest()[:12]})"
