"""The commands about the whole state: start over, take the state out, put one in, save it where the fake keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from codeq_fake.serving.terminal_text import counted

from .output import FAILED, MISUSED, exit_with
from .queries import Answer, asking, say

if TYPE_CHECKING:
    from .remote import Fake


@click.command()
@asking
def reset(fake: Fake) -> Answer:
    """Start over with an empty state; settings and clock are kept."""
    reply = fake.ask("POST", "/reset")
    return Answer(reply, say(f"empty: profile {reply['profile']}, {reply['clock']} clock at {reply['now']}"))


@click.group()
def state() -> None:
    """Take a fake's whole state out, or put one in."""


@state.command("get")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")
@asking
def get_state(fake: Fake, *, file: Path) -> Answer:
    """Write the state to FILE, by default to standard output, as JSON."""
    from codeq_fake.control.state_file import write_whole  # noqa: PLC0415 - --help loads no server

    held = fake.get("/state")
    text = json.dumps(held)
    if str(file) == "-":
        return Answer(held, say(text))
    try:
        write_whole(file, text + "\n")
    except OSError as error:
        exit_with(f"{file}: {error.strerror}", FAILED)
    count = len(held["broker"]["tasks"])
    return Answer({"file": str(file), "tasks": count}, say(f"{counted(count, 'task')} in {file}"))


@state.command("save")
@asking
def save_state(fake: Fake) -> Answer:
    """Write the state where `serve --persist` keeps it."""
    reply = fake.ask("POST", "/persist")
    return Answer(reply, say(f"{counted(reply['tasks'], 'task')} in {reply['file']}"))


@state.command("put")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@asking
def put_state(fake: Fake, *, file: IO[str]) -> Answer:
    """Replace the state by what FILE holds; - is standard input."""
    try:
        held = json.load(file)
    except (ValueError, RecursionError) as error:
        exit_with(f"{file.name}: no JSON ({error}); give what `codeq-fake state get` wrote", MISUSED)
    reply = fake.ask("PUT", "/state", held)
    return Answer(reply, say(f"restored: profile {reply['profile']}, {reply['clock']} clock at {reply['now']}"))
