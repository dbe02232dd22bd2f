"""Commands for the clock: advance, clock."""

from __future__ import annotations

from typing import Any

import click

from .control_client import Fake, calls_fake
from .output import Answer, say

_CLOCK = {"now": str, "mode": str}


class Duration(click.ParamType[float]):
    """Seconds as a number, or with units: 90, 1.5, 250ms, 2m, 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's own type
        """The seconds in a text. Raises click.BadParameter."""
        from codeq_fake.core.durations import duration  # noqa: PLC0415 - --help loads no rules
        from codeq_fake.core.times import SECOND  # noqa: PLC0415 - as above

        try:
            return duration(str(value)) / SECOND
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("by", metavar="[DURATION]", type=Duration(), required=False)
@click.option("--to", metavar="TIME", help="Time to advance it to, for example 2026-01-31T12:00:00Z.")
@calls_fake
def advance(fake: Fake, *, by: float | None, to: str | None) -> Answer:
    """Advance the clock, and do everything that is due.

    By DURATION, in seconds or with units (90, 1.5, 250ms, 2m, 1h30m), or to a time.
    """
    if (by is None) == (to is None):
        raise click.UsageError("give either a DURATION or --to")
    body = {"to": to} if to is not None else {"seconds": by}
    shape = {"now": str, "fired": int, "digest": str}
    reply = fake.call("POST", "/clock/advance", shape, body, patience=None)  # it takes its time
    return Answer(reply, say(f"{reply['now']}  {reply['digest']}"))


@click.command()
@click.option("--freeze", is_flag=True, help="Stop it until it is advanced.")
@click.option("--run", is_flag=True, help="Let it run.")
@calls_fake
def clock(fake: Fake, *, freeze: bool, run: bool) -> Answer:
    """Show the clock, stop it, or let it run."""
    if freeze and run:
        raise click.UsageError("give either --freeze or --run")
    mode = {"mode": "manual" if freeze else "real"}
    reply = fake.call("PUT", "/clock", _CLOCK, mode) if freeze or run else fake.get("/clock", _CLOCK)
    return Answer(reply, say(f"{reply['now']}  {reply['mode']}{beside_real(fake.now())}"))


def beside_real(now: int) -> str:
    """How far the fake's clock (ns) is from that of this machine, where that is a second or more."""
    from codeq_fake.clocks import Clock  # noqa: PLC0415 - --help loads no clock
    from codeq_fake.core import durations  # noqa: PLC0415 - as above

    apart = durations.beside_real(now, Clock.wall())
    return f", {apart}" if apart else ""
