"""The command `codeq-contract`."""

from __future__ import annotations

import sys
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx

from codeq_contract.cli.check import check_files
from codeq_contract.cli.load import load_target
from codeq_contract.cli.record import record_session
from codeq_contract.cli.run import diff_reports, run_suite
from codeq_contract.recordings.format import Recording, RecordingError, read_recording
from codeq_contract.replay.control import ControlError
from codeq_contract.replay.credentials import Signer
from codeq_contract.replay.player import replay
from codeq_contract.replay.servers import Target, UrlTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.replay.comparison import Difference


#: Of one call or callback.
_MOST_SHOWN = 20


class CannotRunError(click.ClickException):
    """Nothing could be found out: neither success nor failure."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Hold a CodeQ server to its contract."""


for _command in (run_suite, diff_reports, load_target, check_files, record_session):
    main.add_command(_command)


@main.command("replay")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--url", help="Replay on the fake that runs there, through its control API, instead of in process.")
@click.option("--control-token", metavar="TOKEN", help="Bearer token for the control API of the fake at --url.")
@click.option("--named-identities", is_flag=True, help="Let the fake know callers by name, instead of signed tokens.")
def replay_files(
    files: tuple[Path, ...], url: str | None, control_token: str | None, *, named_identities: bool
) -> None:
    """Replay recordings on a fake and print the differences, of one call or callback the first 20.

    FILE is a recording of a server, as it is or with gzip (*.gz). Calls without a reply are left out. A fake at a URL
    is reset for each recording and loses what it held; it must be able to reach this machine's loopback address, for
    callbacks.

    Exit status: 0 no difference, 1 differences, 2 it could not be run.
    """
    target = _in_process() if url is None else UrlTarget(url, control_token)
    signer = None if named_identities else Signer()
    total = 0
    for file in files:
        try:
            recording = read_recording(file)
            differences = replay(recording, target, signer=signer)
        except (ControlError, OSError, RecordingError, httpx.HTTPError) as error:
            raise CannotRunError(f"{file}: {str(error) or type(error).__name__}") from error
        _print(differences)
        click.echo(_summary(recording, len(differences)))
        total += len(differences)
    click.echo(f"{_count(len(files), 'recording')}: {_count(total, 'difference')}")
    sys.exit(1 if total else 0)


def _print(differences: Sequence[Difference]) -> None:
    """Print them, but of each call or callback no more than anybody reads."""
    for event, of_event in groupby(differences, key=lambda difference: difference.event):
        for difference in islice(of_event, _MOST_SHOWN):
            click.echo(f"{difference}\n")
        if rest := sum(1 for _ in of_event):
            click.echo(f"{event}  and {_count(rest, 'more difference')}\n")


def _in_process() -> Target:
    # The fake and all that it needs are imported only by who replays on it in process.
    from codeq_contract.replay.in_process import InProcessTarget  # noqa: PLC0415

    return InProcessTarget()


def _summary(recording: Recording, differences: int) -> str:
    header = recording.header
    size = f"{_count(len(recording.calls), 'call')}, {_count(len(recording.callbacks), 'callback')}"
    return f"{header.profile}/{header.name}: {size}: {_count(differences, 'difference')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
