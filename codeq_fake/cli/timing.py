"""The commands about time: look at a fake's clock, stop it, let it run, and move it on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from .queries import Answer, asking, say

if TYPE_CHECKING:
    from .remote import Fake

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"


class Duration(click.ParamType[float]):
    """Seconds as a number, or with units: 90, 1.5, 250ms, 2m, 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's own type
        """Read it. Raises click.BadParameter."""
        written = str(value)
        if re.fullmatch(r"\d+(\.\d+)?", written):
            return float(written)
        if not re.fullmatch(f"({_PART})+", written):
            self.fail(f"{written!r} is no duration; give seconds such as 90 or 1.5, or units as in 1h30m", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, written))


@click.command()
@click.argument("duration", type=Duration(), required=False)
@click.option("--to", metavar="TIME", help="Where to move it, for example 2026-01-31T12:00:00Z.")
@asking
def advance(fake: Fake, *, duration: float | None, to: str | None) -> Answer:
    """Move the clock on, through all that falls due.

    By DURATION, in seconds or with units (90, 1.5, 250ms, 2m, 1h30m), or to a time.
    """
    if (duration is None) == (to is None):
        raise click.UsageError("give either a DURATION or --to")
    body = {"to": to} if to is not None else {"seconds": duration}
    reply = fake.ask("POST", "/clock/advance", body, patience=None)  # as long as what falls due takes
    return Answer(reply, say(f"{reply['now']}  {reply['fired']} fired"))


@click.command()
@click.option("--freeze", is_flag=True, help="Let it stand still until it is advanced.")
@click.option("--run", is_flag=True, help="Let it run by itself.")
@asking
def clock(fake: Fake, *, freeze: bool, run: bool) -> Answer:
    """Show the clock, stop it, or let it run."""
    if freeze and run:
        raise click.UsageError("give either --freeze or --run")
    mode = {"mode": "manual" if freeze else "real"}
    reply = fake.ask("PUT", "/clock", mode) if freeze or run else fake.get("/clock")
    return Answer(reply, say(f"{reply['now']}  {reply['mode']}"))
