"""A fake as the options and the environment want it. Imported when one is started: ``--help`` needs no server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_fake.application import application
from codeq_fake.auth import Tokens, read_identities
from codeq_fake.clock import Clock
from codeq_fake.control.access import is_loopback
from codeq_fake.control.controls import instant
from codeq_fake.control.errors import BadRequestError
from codeq_fake.runtime import Config, Runtime
from codeq_fake.server import PortTakenError, listen
from codeq_fake.settings import Settings, SettingsError

from .telling import FAILED, MISUSED, exit_with, tell

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from starlette.types import ASGIApp

    from codeq_fake.auth import Identity

    from .options import Options


@dataclass(frozen=True, slots=True)
class Built:
    """A fake that is ready to be served."""

    runtime: Runtime
    app: ASGIApp

    @property
    def tokens(self) -> Tokens:
        """Its callers' tokens."""
        return Tokens.of(self.runtime.config.settings, self.runtime.config.identities)


def build(options: Options) -> Built:
    """The fake that the options and the environment want; ends the program when they cannot be meant."""
    runtime = _runtime(options)
    token = options.control_token or None
    with_control = not options.no_control and (token is not None or is_loopback(options.host))
    if not (with_control or options.no_control):
        tell(f"the control API is off: {options.host} is reached by other machines, and there is no --control-token")
    return Built(runtime, application(runtime, with_control=with_control, control_token=token))


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket; ends the program when there can be none."""
    try:
        return listen(host, port)
    except PortTakenError as error:
        exit_with(f"{error}; choose another with --port (0 picks a free one) or --host", FAILED)


def _runtime(options: Options) -> Runtime:
    try:
        config = Config(
            profile=options.profile,
            settings=Settings.from_env(os.environ),
            identities=_identities(options.identities),
            webhook_allow=options.webhook_allow,
            journal_size=options.journal_size,
        )
        start = instant(options.start_at) if options.start_at is not None else None
    except SettingsError as error:
        exit_with(str(error), MISUSED)
    except BadRequestError as error:
        exit_with(f"--start-at: {error}", MISUSED)
    try:
        return Runtime(config, Clock("manual" if options.clock == "manual" else "real", start=start))
    except ValueError as error:
        exit_with(f"--webhook-allow: {error}", MISUSED)


def _identities(file: Path | None) -> tuple[Identity, ...]:
    if file is None:
        return ()
    try:
        return read_identities(str(file), file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        exit_with(f"--identities {file}: no text ({error.reason}); give YAML or JSON in UTF-8", MISUSED)
    except OSError as error:
        exit_with(f"--identities {file}: {error.strerror}", MISUSED)
