"""``codeq-fake demo``: what a fake is for, in one table."""

from __future__ import annotations

import click


@click.command()
def demo() -> None:
    """Tell the story of an example application.

    A table of tasks, leases, retries, a dead letter and webhooks, in the fake's time and in real time.
    """
    from .demo_story import tell  # noqa: PLC0415 - a story needs a table printer and an HTTP client

    tell()
