"""The commands about what is to go wrong at a fake: list the fault rules, add some, remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import MISUSED, exit_with
from .queries import Answer, asking, say, show_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .remote import Fake

#: What a column of its own shows.
_SHOWN = frozenset({"id", "do", "on", "met", "fired"})


@click.group()
def faults() -> None:
    """List what is to go wrong, and change it."""


@faults.command("list")
@asking
def list_faults(fake: Fake) -> Answer:
    """List the rules, with how often each was met and fired."""
    reply = fake.get("/faults")
    return Answer(reply, _table(reply, empty="nothing is to go wrong"))


@faults.command("add")
@click.argument("rules", nargs=-1, required=True, metavar="RULE...")
@asking
def add_faults(fake: Fake, *, rules: Sequence[str]) -> Answer:
    """Let something go wrong.

    Each RULE is an object in YAML or JSON:

        codeq-fake faults add '{on: complete, do: drop_reply, times: 1}'
    """
    reply = fake.ask("POST", "/faults", {"faults": [_read(rule) for rule in rules]})
    return Answer(reply, _table(reply, empty=""))


@faults.command("remove")
@click.argument("n", type=click.IntRange(1), metavar="N")
@asking
def remove_fault(fake: Fake, *, n: int) -> Answer:
    """Remove rule N, and let go whom it holds up."""
    reply = fake.ask("DELETE", f"/faults/{n}")
    return Answer(reply, _table({"faults": [reply]}, empty=""))


@faults.command("clear")
@asking
def clear_faults(fake: Fake) -> Answer:
    """Remove all rules."""
    reply = fake.ask("DELETE", "/faults")
    return Answer(reply, say(f"{len(reply['faults'])} removed"))


def _read(text: str) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - only this reads any

    from codeq_fake.faults import BadFaultError, parsing  # noqa: PLC0415 - as wherever --help does without

    try:
        return parsing.shown(parsing.rule_of(yaml.safe_load(text)))
    except yaml.YAMLError as error:
        exit_with(f"{text}: no YAML or JSON ({' '.join(str(error).split())})", MISUSED)
    except BadFaultError as error:
        exit_with(f"{text}: {error}", MISUSED)


def _table(reply: dict[str, Any], *, empty: str) -> Callable[[], None]:
    rows = (
        (fault["id"], fault["do"], fault.get("on"), _rest(fault), fault["met"], fault["fired"])
        for fault in reply["faults"]
    )
    return show_table(("n#", "do", "on", "how", "met#", "fired#"), rows, empty=empty)


def _rest(fault: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in fault.items() if name not in _SHOWN)
