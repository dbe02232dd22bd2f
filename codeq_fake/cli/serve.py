"""``codeq-fake serve``: a fake on a port until it is stopped."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .options import Options, flag, start_options

if TYPE_CHECKING:
    from .startup import Built


@click.command()
@start_options(port="PORT, else 8080", log="text on a terminal, else none")
@flag("json", "as_json", is_flag=True, help="Print the line about the server as JSON.")
def serve(*, as_json: bool, **flags: Any) -> None:
    """Serve a fake until it is stopped.

    Prints one line when it answers: URL, profile, clock and tokens.
    """
    from codeq_fake.serving.server import serve as serve_until_stopped  # noqa: PLC0415 - --help loads no server
    from codeq_fake.serving.server import url_of  # noqa: PLC0415 - as above

    from .startup import build, listen_on  # noqa: PLC0415 - as above

    options = Options(**flags)
    fake = build(options, log="text" if sys.stderr.isatty() else "none")
    listener = listen_on(options.host, fake.runtime.config.settings.port if options.port is None else options.port)
    url = url_of(listener)
    serve_until_stopped(
        fake.app,
        fake.runtime,
        listener,
        ready=lambda: _announce(fake, url, as_json=as_json),
        within=fake.lasting(),
    )


def _announce(fake: Built, url: str, *, as_json: bool) -> None:
    from codeq_fake.control import Controls  # noqa: PLC0415 - as above

    health, named = Controls(fake.runtime).health(), fake.tokens.by_role()
    if as_json:
        told = {"url": url, "profile": health["profile"], "clock": health["clock"], "now": health["now"]}
        click.echo(json.dumps({**told, "tokens": named}))
        return
    given = ", ".join(f"{name} {token}" for name, token in named.items() if token is not None) or "signed ones only"
    click.echo(f"{url}  profile {health['profile']}  {health['clock']} clock at {health['now']}  tokens: {given}")
