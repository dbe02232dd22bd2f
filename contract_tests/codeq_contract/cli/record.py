"""The command `codeq-contract record`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import click

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.connections import is_loopback, with_direct_loopback
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import without_password
from codeq_contract.driver.webhooks import serve_in_thread
from codeq_contract.recorder import Tape
from codeq_contract.recorder.callers import CallerNames
from codeq_contract.recorder.proxy import Proxy
from codeq_contract.recorder.session import session_of
from codeq_contract.recorder.webhook_rewriting import WebhookRewriter
from codeq_contract.recordings.files import write_recording
from codeq_contract.recordings.format import Header
from codeq_contract.stores import PROFILES, known_profile

from .command_process import end_of, stop_signals
from .output import CannotRunError, Number, background_output, host_and_port


def _profile(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """The profile of that name. Raises click.BadParameter."""
    try:
        return known_profile(name)
    except ValueError as unknown:
        raise click.BadParameter(str(unknown)) from None


@click.command("record", context_settings={"ignore_unknown_options": True})
@click.option("--url", required=True, help="The URL of the server.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write (*.gz with gzip).")
@click.option(
    "--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="The address for the clients."
)
@click.option(
    "--webhook-advertise",
    metavar="URL",
    help="The URL of the recorder for the server, for callbacks. [the address for the clients, if the server is here]",
)
@click.option(
    "--profile",
    callback=_profile,
    default="kvrocks-2.8",
    show_default=True,
    help=f"The server's store, or VERSION/STORE: {', '.join(PROFILES)}.",
)
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the server, if known.")
@click.option("--yaml", type=click.Path(path_type=Path, exists=True), help="The server's configuration file.")
@click.option("--seconds", type=Number(0), help="Stop after that time.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@background_output()
def record_session(
    *,
    url: str,
    out: Path,
    listen: str,
    webhook_advertise: str | None,
    profile: str,
    settings: tuple[str, ...],
    yaml: Path | None,
    seconds: float | None,
    command: tuple[str, ...],
) -> None:
    """Record the traffic between clients and a server, for `codeq-contract replay`.

    Clients call the recorder instead of the server, until ctrl-C or until COMMAND has ended. COMMAND finds the
    recorder's address in CODEQ_BASE_URL. No token is recorded, only the claims of signed ones. Callbacks are recorded
    if the server can reach the recorder. A replay needs the server's settings; those not given have their defaults.

    Exit status: 0 recorded, or that of COMMAND; 2 it could not be run.
    """
    clock, names = RealClock(), CallerNames()
    tape, epoch = Tape(clock.now), clock.now()
    try:
        file = yaml.read_text() if yaml else None
        header = Header(out.name.partition(".")[0], profile, epoch, dict(_pairs(settings)), file)
        host, port = host_and_port(listen, option="--listen")
        out.touch()
        rewriter = WebhookRewriter()
        with serve_in_thread(Proxy(url, tape, names, rewriter), host, port) as bound_port:
            here = f"http://{host}:{bound_port}"
            if webhook_advertise or is_loopback(urlsplit(url).hostname or ""):
                rewriter.advertised = (webhook_advertise or here).rstrip("/")
            code = end_of(command, _environ(here)) if command else _wait(here, url, seconds)
        recording = session_of(tape, names, header)
        write_recording(recording, out)
    except (NotRunError, OSError, ValueError) as error:
        raise CannotRunError(str(error)) from None
    click.echo(f"{out}: {len(recording.calls)} calls, {len(recording.callbacks)} callbacks", err=True)
    sys.exit(code)


def _pairs(settings: tuple[str, ...]) -> list[tuple[str, str]]:
    for setting in settings:
        if "=" not in setting:
            raise ValueError(f"--setting: found {setting!r}; it must be NAME=VALUE")
    return [(name, value) for name, _, value in (setting.partition("=") for setting in settings)]


def _wait(here: str, url: str, seconds: float | None) -> int:
    """Wait for ctrl-C, a SIGTERM or a SIGHUP, or the end of the time. Returns the exit code."""
    over = threading.Event()

    for number in stop_signals():
        signal.signal(number, lambda *_: over.set())
    click.echo(f"{here} records what goes to {without_password(url)}; ctrl-C ends it")
    over.wait(seconds)
    return 0


def _environ(here: str) -> dict[str, str]:
    """The command's environment: it calls the recorder past every proxy."""
    return {**with_direct_loopback(os.environ), "CODEQ_BASE_URL": here}
