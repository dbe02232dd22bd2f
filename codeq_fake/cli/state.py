"""Commands for the whole state: reset, state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from codeq_fake.serving.terminal_text import counted

from .control_client import Fake, calls_fake
from .output import FAILED, MISUSED, Answer, exit_with, say

#: What the commands read of `/_fake/health`, which also answers a reset and an import.
HEALTH = {"profile": str, "clock": str, "now": str}


@click.command()
@calls_fake
def reset(fake: Fake) -> Answer:
    """Start over with an empty state; settings and clock are kept."""
    reply = fake.call("POST", "/reset", HEALTH)
    return Answer(reply, say(f"empty: profile {reply['profile']}, {reply['clock']} clock at {reply['now']}"))


@click.group()
def state() -> None:
    """Export or import the whole state."""


@state.command("get")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@calls_fake
def get_state(fake: Fake, *, file: Path) -> Answer:
    """Write the state as JSON to FILE, by default to standard output."""
    from codeq_fake.control.state_file import write_whole  # noqa: PLC0415 - --help loads no server

    content = fake.get("/state", {"broker": {"tasks": list}})
    text = json.dumps(content)
    if str(file) == "-":
        return Answer(content, say(text))
    try:
        write_whole(file, text + "\n")
    except OSError as error:
        exit_with(f"{file}: {error.strerror}", FAILED)
    count = len(content["broker"]["tasks"])
    return Answer({"file": str(file), "tasks": count}, say(f"{counted(count, 'task')} in {file}"))


@state.command("save")
@calls_fake
def save_state(fake: Fake) -> Answer:
    """Write the state to the file of `serve --persist`."""
    reply = fake.call("POST", "/persist", {"tasks": int, "file": str})
    return Answer(reply, say(f"{counted(reply['tasks'], 'task')} in {reply['file']}"))


@state.command("put")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@calls_fake
def put_state(fake: Fake, *, file: IO[str]) -> Answer:
    """Replace the state by FILE; - is standard input."""
    from codeq_fake.documents import read_json  # noqa: PLC0415 - as above

    try:
        content = read_json(file.read(), is_shaped=True)
    except ValueError as error:
        exit_with(f"{file.name}: not JSON ({error}); give a file of `codeq-fake state get`", MISUSED)
    reply = fake.call("PUT", "/state", HEALTH, content)
    return Answer(reply, say(f"restored: profile {reply['profile']}, {reply['clock']} clock at {reply['now']}"))
