"""Commands for fault rules: add one by a sentence; list, add, remove, clear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from .control_client import Fake, Shape, calls_fake
from .output import MISUSED, Answer, exit_with, say
from .tables import Columns, Kind, show_table

#: What the commands read of a rule, besides its conditions and arguments.
_FAULT: Mapping[str, Shape] = {"id": int, "do": str, "on?": str, "met": int, "fired": int}
_FAULTS: Shape = {"faults": [_FAULT]}
_COLUMNS: Columns = {
    "n": Kind.NUMBER,
    "do": Kind.TEXT,
    "on": Kind.TEXT,
    "how": Kind.TEXT,
    "met": Kind.NUMBER,
    "fired": Kind.NUMBER,
}
#: The fields that have their own columns.
_SHOWN = frozenset(name.removesuffix("?") for name in _FAULT)


@click.command()
@click.argument("sentence", nargs=-1)
@calls_fake
def fault(fake: Fake, *, sentence: Sequence[str]) -> Answer:
    """Add a fault by a sentence, or list the sentences.

    A number may be left out, and so may the quotes:

        codeq-fake fault lose the reply to the next result
    """
    from codeq_fake.faults import BadFaultError, recipes  # noqa: PLC0415 - --help loads no server

    if not sentence:
        examples = [recipe.written_example for recipe in recipes.RECIPES]
        return Answer({"recipes": examples}, say(*examples))
    try:
        rule = recipes.read_sentence(" ".join(sentence))
    except BadFaultError as error:
        exit_with(str(error), MISUSED)
    reply = fake.call("POST", "/faults", _FAULTS, rule)
    return Answer(reply, _table(reply, empty=""))


@click.group()
def faults() -> None:
    """List and change the fault rules."""


@faults.command("list")
@calls_fake
def list_faults(fake: Fake) -> Answer:
    """List the rules, with how often each matched and fired."""
    reply = fake.get("/faults", _FAULTS)
    return Answer(reply, _table(reply, empty="no faults"))


@faults.command("add")
@click.argument("rules", nargs=-1, required=True, metavar="RULE...")
@calls_fake
def add_faults(fake: Fake, *, rules: Sequence[str]) -> Answer:
    """Add rules.

    Each RULE is an object in YAML or JSON:

        codeq-fake faults add '{on: complete, do: drop_reply, times: 1}'
    """
    reply = fake.call("POST", "/faults", _FAULTS, {"faults": [_read(rule) for rule in rules]})
    return Answer(reply, _table(reply, empty=""))


@faults.command("remove")
@click.argument("n", type=click.IntRange(1), metavar="N")
@calls_fake
def remove_fault(fake: Fake, *, n: int) -> Answer:
    """Remove rule N, and answer the requests that it holds."""
    reply = fake.call("DELETE", f"/faults/{n}", _FAULT)
    return Answer(reply, _table({"faults": [reply]}, empty=""))


@faults.command("clear")
@calls_fake
def clear_faults(fake: Fake) -> Answer:
    """Remove all rules."""
    reply = fake.call("DELETE", "/faults", _FAULTS)
    return Answer(reply, say(f"{len(reply['faults'])} removed"))


def _read(text: str) -> dict[str, Any]:
    """A rule as the control API takes it. Ends the program for one that is invalid, before anything is sent."""
    from codeq_fake.documents import BadDocumentError  # noqa: PLC0415 - --help loads no server
    from codeq_fake.documents.yaml_text import read_yaml  # noqa: PLC0415 - as above
    from codeq_fake.faults import BadFaultError, parsing  # noqa: PLC0415 - as above

    try:
        return parsing.shown(parsing.rule_of(read_yaml(text)))
    except BadDocumentError as error:
        exit_with(f"{text}: not YAML or JSON ({error})", MISUSED)
    except BadFaultError as error:
        exit_with(f"{text}: {error}", MISUSED)


def _table(reply: dict[str, Any], *, empty: str) -> Callable[[], None]:
    rows = (
        (fault["id"], fault["do"], fault.get("on"), _rest(fault), fault["met"], fault["fired"])
        for fault in reply["faults"]
    )
    return show_table(_COLUMNS, rows, empty=empty)


def _rest(fault: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in fault.items() if name not in _SHOWN)
