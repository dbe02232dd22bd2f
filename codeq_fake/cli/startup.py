"""Builds a fake from options and environment. Imported only at a start, since `--help` needs no server."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource
from starlette.types import ASGIApp

from codeq_fake.auth import read_identities
from codeq_fake.clocks import WallClock
from codeq_fake.compat.uvicorn import Limits
from codeq_fake.compat.uvicorn_choice import shortcomings
from codeq_fake.control import BadRequestError
from codeq_fake.control.argument_readers import instant
from codeq_fake.core import canonical_name
from codeq_fake.core.durations import duration
from codeq_fake.faults import BadFaultError, Rule, observed_races, read_rules
from codeq_fake.http.faults.matching import NAMES
from codeq_fake.http.host_guard import is_bound_to_loopback
from codeq_fake.payloads import DEFAULT_PROFILE
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings
from codeq_fake.server_settings.settings import NAMES as SETTINGS
from codeq_fake.server_settings.settings import VARIABLES
from codeq_fake.server_settings.sources import Sources, camel, near_misses
from codeq_fake.serving import descriptors
from codeq_fake.serving.application import application
from codeq_fake.serving.request_log import RequestLog
from codeq_fake.serving.server import PortTakenError, listen

from .options import ENV_FILE_READ, Options
from .output import FAILED, MISUSED, exit_with, tell
from .persistence import Persistence

if TYPE_CHECKING:
    from codeq_fake.control.seed_files import Seed


class Built(NamedTuple):
    """A fake that can be served."""

    runtime: FakeServer
    app: ASGIApp
    persistence: Persistence
    origins: Mapping[str, str]
    """Where the settings come from that no flag gives."""
    has_page: bool = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """The context to serve it in. Ends the program if its state cannot be restored or saved."""
        with self.persistence.kept():
            self.runtime.arm()
            try:
                yield
            finally:
                self._tell_missed()

    def _tell_missed(self) -> None:
        """Report fault rules that matched nothing, since that is often a typo."""
        faults = self.runtime.fault_plan
        for fault in faults.missed():
            tell(faults.why_missed(fault))


def build(options: Options, *, log: str) -> Built:
    """Build the fake; ends the program for invalid options or variables. `log` is the default of `--log`."""
    if options.persist_interval is not None and options.persist is None:
        exit_with("--persist-interval needs --persist FILE", MISUSED)
    runtime = _runtime(options)
    token = options.control_token or None
    with_control = not options.no_control and (token is not None or is_bound_to_loopback(options.host))
    if not (with_control or options.no_control):
        tell(f"the control API is off: other machines reach {options.host}, and there is no --control-token")
    app = application(runtime, with_control=with_control, control_token=token)
    form = "none" if options.quiet else options.log or log
    if form != "none":
        app = RequestLog(app, runtime, _write, as_json=form == "json")
        app.log_settings()
    persistence = Persistence(runtime, _seed(options.seed), options.persist_interval)
    sources = Sources.of(options.environ, None)
    origins = _origins(options, sources)
    _tell_ignored_keys(options, sources)
    return Built(runtime, app, persistence, origins, has_page=with_control)


def listen_on(host: str, port: int, limits: Limits) -> socket.socket:
    """A listening socket. Ends the program if the port cannot be used."""
    try:
        return listen(host, port, backlog=limits.backlog)
    except PortTakenError as error:
        exit_with(f"{error}; choose another with --port (0 picks a free one) or --host", FAILED)


def limits_of(options: Options) -> Limits:
    """The limits of the server. Reports a low limit of open files, and what this version of uvicorn cannot do."""
    available = descriptors.limit()
    limits = descriptors.limits(
        connections=options.max_connections,
        callbacks=descriptors.callbacks(options.max_callbacks),
        head_bytes=options.max_header_bytes,
        head_seconds=options.header_timeout,
        body_rate=options.min_body_rate,
    )
    if limits.connections < (options.max_connections or Limits().connections):
        tell(
            f"{available:,} files may be open (ulimit -n), so at most {limits.connections:,} connections and "
            f"{descriptors.callbacks(options.max_callbacks):,} callbacks at once"
        )
    if lacks := shortcomings():
        tell(lacks)
    return limits


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _runtime(options: Options) -> FakeServer:
    """The fake that the options describe. Ends the program for an option that is invalid."""
    file = options.identities
    try:
        settings = Settings.from_env(without_typos(options.environ))
        config = Config(
            profile=canonical_name(options.profile or settings.chosen_profile or DEFAULT_PROFILE),
            settings=settings,
            reaper_phase=None if options.reaper_phase is None else duration(options.reaper_phase, "--reaper-phase"),
            identities=read_identities(str(file), _text("--identities", file)) if file is not None else (),
            webhook_allow=options.webhook_allow,
            any_host=options.any_host,
            journal_size=options.journal_size,
            journal_bytes=options.journal_bytes,
            max_callbacks=descriptors.callbacks(options.max_callbacks),
            state_file=options.persist,
            has_worker_process=True,
        )
        start = instant(options.start_at) if options.start_at is not None else None
    except ValueError as error:
        exit_with(str(error), MISUSED)
    except BadRequestError as error:
        exit_with(f"--start-at: {error}", MISUSED)
    try:
        runtime = FakeServer(config, WallClock("manual" if options.clock == "manual" else "real", start=start))
    except ValueError as error:
        exit_with(f"--webhook-allow: {error}", MISUSED)
    runtime.fault_plan.add(_faults(options.faults))
    runtime.fault_plan.add(observed_races(options.races_seed) if options.races else (), is_background=True)
    return runtime


def _seed(file: Path | None) -> Seed | None:
    """The content of the seed file, if one is given."""
    if file is None:
        return None
    from codeq_fake.control.seed_files import read_seed  # noqa: PLC0415 - as above

    try:
        return read_seed(str(file), _text("--seed", file))
    except BadRequestError as error:
        exit_with(str(error), MISUSED)


def _faults(file: Path | None) -> list[Rule]:
    """The fault rules of the file, if one is given."""
    if file is None:
        return []
    try:
        return read_rules(_text("--faults", file), NAMES)
    except BadFaultError as error:
        exit_with(f"--faults {file}: {error}", MISUSED)


def _text(option: str, file: Path) -> str:
    """The text of the file that an option names."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        exit_with(f"{option} {file}: not text ({error.reason}); give YAML or JSON in UTF-8", MISUSED)
    except OSError as error:
        exit_with(f"{option} {file}: {error.strerror}", MISUSED)


def _origins(options: Options, sources: Sources) -> dict[str, str]:
    """Where the settings come from that no flag gives."""
    context = click.get_current_context()
    file = options.environ.get("CODEQ_CONFIG_PATH", "")
    places = {
        ParameterSource.ENVIRONMENT: "the environment",
        ParameterSource.DEFAULT_MAP: context.meta.get(ENV_FILE_READ),
    }
    origins: dict[str, str] = {}
    for option in context.command.params:
        place = places.get(context.get_parameter_source(str(option.name)) or ParameterSource.DEFAULT)
        if place and option.name != "env_file":
            origins[str(option.envvar)] = place
    for source in sources.origins(SETTINGS):
        in_yaml = source.startswith("YAML ")
        by = ParameterSource.ENVIRONMENT if os.environ.get(source) else ParameterSource.DEFAULT_MAP
        origins[source.removeprefix("YAML ")] = file if in_yaml else str(places[by])
    if options.port is not None:  # it wins over both
        origins.pop("PORT", None)
        origins.pop("port", None)
    return origins


def _tell_ignored_keys(options: Options, sources: Sources) -> None:
    """Report the keys in YAML that have no effect."""
    file = options.environ.get("CODEQ_CONFIG_PATH", "")
    keys = sources.ignored_keys(SETTINGS)
    meant = near_misses(keys, [camel(name) for name in SETTINGS])
    for key in keys:
        tell(f"{file}: {key} is not read" + (f"; {meant[key]} is" if key in meant else ""))


def without_typos(environ: Mapping[str, str]) -> Mapping[str, str]:
    """`environ` without variables that look like misspelled settings; reports them and misspelled options.

    They are not an error, because the environment is often shared with other programs.
    """
    typos = near_misses(environ, VARIABLES) | near_misses(environ, _options())
    for name in sorted(typos):
        tell(f"{name} is not read; {typos[name]} is")
    return {name: value for name, value in environ.items() if name not in typos}


def _options() -> frozenset[str]:
    """The variables of the options of this command, and of those for a fake that is running."""
    options = click.get_current_context().command.params
    return frozenset(str(option.envvar) for option in options if option.envvar) | {"CODEQ_BASE_URL"}
