"""The command `codeq-contract replay`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path

import click
import httpx

from codeq_contract.driver.identities import Signer
from codeq_contract.driver.servers import NotRunError
from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.format import Recording, RecordingError
from codeq_contract.replay.comparison import Difference
from codeq_contract.replay.player import replay_early_or_late
from codeq_contract.replay.servers import ControlError, InProcessTarget, UrlTarget
from codeq_contract.stores import known_profile

from .output import CannotRunError, counted, printable, printable_body

#: The most differences that are printed for one call or callback.
_MAX_SHOWN = 20


@click.command("replay")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--url", help="Replay on the running fake at this URL, through its control API, not in process.")
@click.option("--control-token", metavar="TOKEN", help="The bearer token for the control API of the fake at --url.")
@click.option("--named-identities", is_flag=True, help="Tell the fake the callers by name. Do not sign tokens.")
def replay_files(
    files: tuple[Path, ...], url: str | None, control_token: str | None, *, named_identities: bool
) -> None:
    """Replay recordings on a fake and print the differences, at most 20 for each call or callback.

    FILE is a recording of a server, plain or with gzip (*.gz). Calls without a reply are left out. A fake at a URL is
    reset for each recording and loses its tasks. For callbacks it must be able to reach this machine's loopback
    address.

    What differs only because the recorded server was slow is no difference: a second replay has each call at the moment
    of its answer.

    Exit status: 0 no difference, 1 differences, 2 it could not be run.
    """
    target = InProcessTarget() if url is None else UrlTarget(url, control_token)
    signer = None if named_identities else Signer()
    total = 0
    for file in files:
        try:
            recording = read_recording(file)
            _check_profile(recording)
            differences = replay_early_or_late(recording, target, signer=signer)
        except (ControlError, NotRunError, OSError, RecordingError, httpx.HTTPError) as error:
            raise CannotRunError(f"{file}: {str(error) or type(error).__name__}") from error
        except Exception as error:  # a recording may hold anything, also for the fake
            raise CannotRunError(f"{file}: not a recording that this release reads: {error!r:.200}") from error
        _print(differences)
        click.echo(printable(_summary(recording, len(differences))))
        total += len(differences)
    click.echo(f"{counted(len(files), 'recording')}: {counted(total, 'difference')}")
    sys.exit(1 if total else 0)


def _check_profile(recording: Recording) -> None:
    """Refuse a recording of a server that no fake imitates. Raises RecordingError."""
    try:
        known_profile(recording.header.profile)
    except ValueError as unknown:
        raise RecordingError(f"{unknown} Write another one into its first line to compare it with that.") from None


def _print(differences: Sequence[Difference]) -> None:
    for event, of_event in groupby(differences, key=lambda difference: difference.event):
        for difference in islice(of_event, _MAX_SHOWN):
            click.echo(printable_body(f"{difference}\n"))
        if rest := sum(1 for _ in of_event):
            click.echo(f"{event}  and {counted(rest, 'more difference')}\n")


def _summary(recording: Recording, differences: int) -> str:
    header = recording.header
    size = f"{counted(len(recording.calls), 'call')}, {counted(len(recording.callbacks), 'callback')}"
    return f"{header.profile}/{header.name}: {size}: {counted(differences, 'difference')}"
