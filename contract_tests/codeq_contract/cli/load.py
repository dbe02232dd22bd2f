"""The command `codeq-contract load`."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from codeq_contract.checker.history import History
from codeq_contract.driver import Setup
from codeq_contract.driver.detection import of_its_version
from codeq_contract.driver.preflight import check_deployment
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.servers import NotRunError
from codeq_contract.load import BrokenLoadError, Load, LostProcessError, record_load
from codeq_contract.recordings.files import write_recording
from codeq_contract.recordings.format import SECRET_SETTING, Recording
from codeq_contract.suite.options import Options, OptionsError, suite_options

from .load_display import LoadDisplay
from .output import CannotRunError, Number, background_output, counted

_NOT_DRAINED = 3
_SEEDS = 2**32

_DEFAULTS = Load()
#: The options of a run that have no meaning here.
_NOT_OURS = frozenset({"level", "fact", "known", "report"})


def _size(
    name: str, kind: click.IntRange | Number, text: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option for a field of Load."""
    return click.option(f"--{name}", type=kind, default=getattr(_DEFAULTS, name), show_default=True, help=text)


@click.command("load")
@suite_options(but=_NOT_OURS)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write (*.gz with gzip).")
@_size("producers", click.IntRange(1, 64))
@_size("workers", click.IntRange(1, 64))
@_size("tasks", click.IntRange(1, 20_000), "At most, and as many for polls.")
@_size("seconds", Number(1, 600), "Before the drain.")
@_size("drain", Number(0, 3600), "Seconds at most.")
@_size(
    "busy",
    click.IntRange(0, 256),
    "Clients that create, claim and complete as fast as the server answers, beside the others.",
)
@_size("processes", click.IntRange(1, 64), "Over which the busy clients are spread.")
@_size("batch", click.IntRange(1, 100), "Tasks in each call of a busy client.")
@background_output()
def load_target(*, out: Path, **given: Any) -> None:
    """Run producers and workers on a target, drain it, and write the history, for `codeq-contract check`.

    Workers complete tasks, NACK, abandon and heartbeat, also what others hold. Some stall until their lease is over, or
    crash. With --busy the server has as much to do as it can take. Then long polls wait for a delayed task each. No
    other client uses the commands of the load, and all its tasks are ended. Ctrl-C ends the load and begins the drain.
    Another ctrl-C ends the drain.

    Exit status: 0 written; 2 it could not be run, it broke off and the history so far was written, or a process of it
    was killed and none was; 3 written but not drained: tasks were still to come when the time was over, and such a
    history shows no losses.
    """
    sizes = {each.name: given.pop(each.name) for each in fields(Load) if each.name != "seed"}
    try:
        options = Options.read(given, os.environ)
        target = options.chosen_target()
        seed = int(options.seed) if options.seed else secrets.randbelow(_SEEDS)
        load = Load(**sizes, seed=seed)
        with target.start(Setup()) as started:
            check_deployment(started)
            driver = of_its_version(started, options.version, options.store_profile)
            if load.busy and not driver.in_real_time:
                raise CannotRunError("--busy needs a target in real time")
            click.echo(f"{driver.target}: {_described(load)}")
            # The secret of a deployment does not belong in a file that others may read.
            known = SUITE_SETTINGS if driver.issuer is not None else _without_secret(options)
            try:
                with LoadDisplay(Console(highlight=False)) as display:
                    recording = record_load(driver, load, known, display.show)
            except BrokenLoadError as error:
                write_recording(error.recording, out)
                raise
        write_recording(recording, out)
    except (BrokenLoadError, LostProcessError, OptionsError, NotRunError, OSError) as error:
        raise CannotRunError(str(error)) from None
    click.echo(f"{out}: {_size_of(recording)}, {_end_of(recording)}")
    sys.exit(0 if recording.header.drained else _NOT_DRAINED)


def _size_of(recording: Recording) -> str:
    """How many calls and callbacks there were. Refused calls are quick, so those without a reply are told apart."""
    lost = sum(not call.status for call in recording.calls)
    without_reply = f", {lost} of them without a reply" if lost else ""
    return f"{len(recording.calls)} calls{without_reply}, {len(recording.callbacks)} callbacks"


def _end_of(recording: Recording) -> str:
    """How the load ended. Claims that find nothing more do not mean that all tasks have ended."""
    if not recording.header.drained:
        return "not drained: it shows no losses"
    history = History.of(recording.header, (*recording.calls, *recording.callbacks))
    unended = sum(not task.ends for task in history.tasks.values())
    if unended:
        return f"claims find nothing more, but {counted(unended, 'task')} did not end: `codeq-contract check` says why"
    return "drained"


def _described(load: Load) -> str:
    busy = f", {counted(load.busy, 'busy client')}" if load.busy else ""
    return f"{load.producers} producers and {load.workers} workers{busy}, {load.seconds:g} s, seed {load.seed}"


def _without_secret(options: Options) -> dict[str, str]:
    return {name: value for name, value in options.settings.items() if name != SECRET_SETTING}
