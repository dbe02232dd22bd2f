"""The command `codeq-contract record`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.listening import serving
from codeq_contract.driver.time_bounds import STORES
from codeq_contract.recorder.caller_names import Names
from codeq_contract.recorder.proxy import Proxy
from codeq_contract.recorder.session import About, session_of
from codeq_contract.recorder.tape import Tape
from codeq_contract.recorder.webhook_rewriting import Relay
from codeq_contract.recordings.files import write_recording

if TYPE_CHECKING:
    from types import FrameType

_CANNOT_RUN = 2
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROFILES = [name for name in STORES if name != "any"]


@click.command("record", context_settings={"ignore_unknown_options": True})
@click.option("--url", required=True, help="The server.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write (*.gz with gzip).")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Where clients find us.")
@click.option(
    "--webhook-advertise", metavar="URL", help="Where the server finds us, for callbacks. [if it is here: so]"
)
@click.option("--profile", type=click.Choice(_PROFILES), default="kvrocks-2.8", show_default=True, help="Its store.")
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of it, as far as known.")
@click.option("--yaml", type=click.Path(path_type=Path, exists=True), help="Its configuration file.")
@click.option("--seconds", type=click.FloatRange(0), help="End by itself.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
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
    """Stand between clients and a server, and write down what they say, for `codeq-contract replay`.

    Clients call us instead of the server until ctrl-C, or until COMMAND has ended, which is given our address as
    CODEQ_BASE_URL. Tokens do not get into the recording; what a signed one says of its bearer does. Callbacks are
    recorded if the server can reach us. The settings are needed by who replays it: default is what the server's are.

    Exit status: 0 recorded, or that of COMMAND; 2 it could not be run.
    """
    clock, names = RealClock(), Names()
    tape, epoch = Tape(clock.now), clock.now()
    try:
        about = About(out.name.partition(".")[0], profile, dict(_pairs(settings)), yaml.read_text() if yaml else None)
        host, port = _address(listen)
        out.touch()
        relay = Relay()
        with serving(Proxy(url, tape, names, relay), host, port) as found:
            here = f"http://{host}:{found}"
            if webhook_advertise or urlsplit(url).hostname in _LOOPBACK:
                relay.advertised = (webhook_advertise or here).rstrip("/")
            code = _run(command, here) if command else _wait(here, url, seconds)
        recording = session_of(tape, names, about, epoch=epoch)
        write_recording(recording, out)
    except (OSError, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_CANNOT_RUN)
    click.echo(f"{out}: {len(recording.calls)} calls, {len(recording.callbacks)} callbacks", err=True)
    sys.exit(code)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"--listen: found {text!r}; it must be HOST:PORT")
    return host, int(port)


def _pairs(settings: tuple[str, ...]) -> list[tuple[str, str]]:
    for setting in settings:
        if "=" not in setting:
            raise ValueError(f"--setting: found {setting!r}; it must be NAME=VALUE")
    return [(name, value) for name, _, value in (setting.partition("=") for setting in settings)]


def _wait(here: str, url: str, seconds: float | None) -> int:
    """Until ctrl-C, a SIGTERM, or time is up."""
    over = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        over.set()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    click.echo(f"{here} records what goes to {url}; ctrl-C ends it")
    over.wait(seconds)
    return 0


def _run(command: tuple[str, ...], here: str) -> int:
    done = subprocess.run(command, env={**os.environ, "CODEQ_BASE_URL": here}, check=False)  # noqa: S603 - theirs
    return done.returncode
