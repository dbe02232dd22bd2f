"""The command `codeq-contract compare`."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from codeq_contract.compare import Difference, Limits, Outcome, Pair, Search, started_pair
from codeq_contract.compare.report import document, lines
from codeq_contract.driver.preflight import check_deployment
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import Target
from codeq_contract.suite.options import Options, OptionsError

from .output import CannotRunError, Number, background_output, counted, printable, printable_body

if TYPE_CHECKING:
    from rich.status import Status

_SEEDS = 2**32
_REQUESTS = 10_000
_MINUTE = 60.0
_NO_LIMIT = float("inf")
#: Elsewhere than on a terminal a line is printed after each so many requests.
_LINE_AFTER = 5_000


@click.command("compare")
@click.argument("left")
@click.argument("right")
@click.option("--requests", type=click.IntRange(1), help=f"How many requests each server gets.  [{_REQUESTS}]")
@click.option("--minutes", type=Number(0.01), help="How long to go on, instead of a number of requests.")
@click.option("--kinds", type=click.IntRange(1), help="End after that many kinds of differences.")
@click.option("--seed", type=click.IntRange(0), help="A number, to send the same requests as the run that printed it.")
@click.option(
    "--profile",
    default="",
    help="What a fake imitates: STORE, for v0.3.3, or main/STORE.  [what the other server shows that it is]",
)
@click.option("--store", default="", help="The program of the store for servers that are started.  [redis-server]")
@click.option("--store-addr", default="", help="HOST:PORT of a store that runs already, for a server that is started.")
@click.option("--producer-token", default="", help="The token of the producer of a deployment.")
@click.option("--worker-token", default="", help="The token of its worker.")
@click.option("--admin-token", default="", help="The token of its admin.")
@click.option("--yes", is_flag=True, help="Send the requests to deployments, which keep what these create.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="A file for the result as JSON.")
@background_output(is_product=True)
def compare_targets(
    left: str,
    right: str,
    *,
    requests: int | None,
    minutes: float | None,
    kinds: int | None,
    seed: int | None,
    report: Path | None,
    yes: bool,
    **given: str,
) -> None:
    """Send the same odd requests to two servers, and print each kind of difference.

    With each kind come the fewest requests that show it.

    LEFT and RIGHT are each `asgi` (the fake in this process), `http` (the fake on a port), the program of a server,
    which is started with its store as by `run --target command`, the URL of a deployment, or a YAML file as that of
    `run --config`.

    The requests are drawn by the seed, in sessions. They build on the tasks, leases and subscriptions that earlier ones
    made, and both servers get them in the same order. Ids and times are aligned before the replies are compared, and
    so are the callbacks where both servers reach this machine. A session ends at its first difference. That is played
    again, and shrunk. What does not show again is printed as a difference by chance.

    A deployment needs --yes: it keeps subscriptions, and tasks whose names begin with `cq-`. Do not use one that others
    use.

    Exit status: 0 no difference, 1 differences, 2 it could not be run.
    """
    if requests is not None and minutes is not None:
        raise CannotRunError("--minutes: found --requests as well; the comparison ends by one of them")
    limits = Limits(
        requests or (_REQUESTS if minutes is None else _NO_LIMIT),
        _NO_LIMIT if minutes is None else minutes * _MINUTE,
        kinds or _NO_LIMIT,
    )
    chosen_seed = secrets.randbelow(_SEEDS) if seed is None else seed
    console = Console(soft_wrap=True, highlight=False)
    try:
        targets = [_target(operand, given, yes=yes) for operand in (left, right)]
        with started_pair(*targets, adapts_fakes=not given["profile"]) as pair:
            for driver in pair.drivers:
                check_deployment(driver)
            outcome = _search(pair, limits, chosen_seed, console)
            if report is not None:
                report.write_text(json.dumps(document(outcome, pair), indent=2) + "\n", encoding="utf-8")
    except (OptionsError, NotRunError, OSError) as error:
        raise CannotRunError(str(error)) from None
    if outcome.ended_early and not outcome.differences:
        raise CannotRunError(outcome.ended_early)
    sys.exit(1 if outcome.differences else 0)


def _target(operand: str, given: Mapping[str, str], *, yes: bool) -> Target:
    """The target that LEFT or RIGHT names. Raises OptionsError."""
    if operand in ("asgi", "http"):
        chosen = {"target": operand, "profile": given["profile"]}
    elif operand.startswith(("http://", "https://")):
        chosen = {"target": "url", "url": operand, **{name: given[name] for name in given if name.endswith("_token")}}
    elif operand.endswith((".yaml", ".yml")):
        chosen = {"config": operand}
    else:
        chosen = {"target": "command", "server": operand, "store": given["store"], "store_addr": given["store_addr"]}
    options = Options.read(chosen, os.environ)
    if options.target == "url" and not yes:
        raise OptionsError(f"{options.url}: a comparison creates tasks and subscriptions there; --yes allows that")
    return options.chosen_target()


def _search(pair: Pair, limits: Limits, seed: int, console: Console) -> Outcome:
    """Run the search, and print what it finds and how far it is."""
    console.print(f"{_title(pair)}, seed {seed}", markup=False)
    with console.status("") as status:
        show = partial(_show_progress, console, status)
        outcome = Search(pair, limits, seed, partial(_print, console), show).run()
    for number, kind in enumerate(outcome.found.values(), start=1):
        console.print(f"{number}. {printable(str(kind.kind))}: {counted(kind.sessions, 'session')}", markup=False)
    console.print(_summary(outcome), markup=False)
    return outcome


def _title(pair: Pair) -> str:
    left, right = (
        f"{driver.target} ({', '.join(driver.about.values())})" if driver.about else driver.target
        for driver in pair.drivers
    )
    return f"left {left}, right {right}"


def _print(console: Console, difference: Difference) -> None:
    for line in lines(difference):
        console.print(printable_body(line), markup=False)
    console.print()


def _show_progress(console: Console, status: Status, outcome: Outcome) -> None:
    """Show how far the search is: on a terminal at once, elsewhere as a line now and then."""
    text = _summary(outcome)
    if console.is_terminal:
        status.update(text)
    elif outcome.requests // _LINE_AFTER > (outcome.requests - outcome.requests_of_last) // _LINE_AFTER:
        console.print(text, markup=False)


def _summary(outcome: Outcome) -> str:
    speed = f"{outcome.requests / outcome.seconds:.0f} a second" if outcome.seconds else "none yet"
    known = sum(bool(each.known) for each in outcome.found.values())
    chance = sum(each.by_chance for each in outcome.found.values())
    named = [f"{known} known"] * bool(known) + [f"{chance} by chance"] * bool(chance)
    early = f"; {outcome.ended_early}" if outcome.ended_early else ""
    kinds = counted(len(outcome.differences), "kind") + " of differences"
    return f"{counted(outcome.requests, 'request')} ({speed}): {', '.join([kinds, *named])}{early}"
