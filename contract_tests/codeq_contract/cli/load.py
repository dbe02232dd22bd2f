"""The command `codeq-contract load`."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import click

from codeq_contract.driver import Setup
from codeq_contract.driver.hooks import SECRET_SETTING
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import NotRunError
from codeq_contract.load.recording import BrokenLoadError, Load, record_load
from codeq_contract.recordings.files import write_recording
from codeq_contract.suite.options import Options, OptionsError, suite_options

_CANNOT_RUN = 2
_CUT = 3
_SEEDS = 2**32

_USUAL = Load()
#: The options of a run that have no meaning here.
_NOT_OURS = frozenset({"level", "known", "report"})


@click.command("load")
@suite_options(but=_NOT_OURS)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write (*.gz with gzip).")
@click.option("--producers", type=click.IntRange(1, 64), default=_USUAL.producers, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=_USUAL.workers, show_default=True)
@click.option("--tasks", type=click.IntRange(1, 20_000), default=_USUAL.tasks, show_default=True, help="Made at most.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=_USUAL.seconds, show_default=True, help="Before it.")
@click.option(
    "--drain", type=click.FloatRange(0, 3600), default=_USUAL.drain, show_default=True, help="Seconds at most."
)
def load_target(
    *, out: Path, producers: int, workers: int, tasks: int, seconds: float, drain: float, **given: str | None
) -> None:
    """Let producers and workers loose on a target, drain it, and write the history, for `codeq-contract check`.

    Workers complete tasks, NACK, abandon and heartbeat, and some stall until their lease is over, or crash. All
    commands are of this load's own, and what it made is ended. Ctrl-C ends the load and begins the drain; once more,
    and that ends too.

    Exit status: 0 written, 2 it could not be run, or broke off and was written up to there, 3 written, but not drained:
    such a history shows no losses.
    """
    try:
        options = Options.read(given, os.environ)
        target = options.chosen_target()
        seed = int(options.seed) if options.seed else secrets.randbelow(_SEEDS)
        load = Load(producers, workers, tasks, seconds, drain, seed)
        with target.start(Setup()) as driver:
            click.echo(f"{driver.target}: {producers} producers and {workers} workers, {seconds:g} s, seed {seed}")
            # A deployment's secret is not for a file that is handed around.
            known = SUITE_SETTINGS if driver.issuer is not None else _without_secret(options)
            try:
                recording = record_load(driver, load, known)
            except BrokenLoadError as error:
                write_recording(error.recording, out)
                raise
        write_recording(recording, out)
    except (BrokenLoadError, OptionsError, NotRunError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_CANNOT_RUN)
    header = recording.header
    size = f"{len(recording.calls)} calls, {len(recording.callbacks)} callbacks"
    click.echo(f"{out}: {size}, {'drained' if header.drained else 'not drained: it shows no losses'}")
    sys.exit(0 if header.drained else _CUT)


def _without_secret(options: Options) -> dict[str, str]:
    return {name: value for name, value in options.settings.items() if name != SECRET_SETTING}
