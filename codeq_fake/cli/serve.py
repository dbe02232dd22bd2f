"""`codeq-fake serve`: a fake on a port. `codeq-fake run`: a fake for the duration of another command.

The flags of both are in `options`; `startup` makes the fake and its limits of them.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from codeq_fake.serving.terminal_text import printable

from .options import Options, flag, start_options
from .output import tell

if TYPE_CHECKING:
    from .startup import Built

_LOOPBACK = "localhost,127.0.0.1,::1"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@click.command()
@start_options(port="PORT, else 8080", log="text on a terminal, else none")
@flag("json", "as_json", is_flag=True, help="Print the line with URL and tokens as JSON.")
def serve(*, as_json: bool, **flags: Any) -> None:
    """Serve a fake until it is stopped.

    It prints one line when it is ready: URL, profile, clock, where settings come from that are not flags,
    tokens, and its page. SIGINT, SIGTERM and SIGHUP end it.
    """
    with _without_garbage_collector():
        from codeq_fake.serving.background_stream import background_output  # noqa: PLC0415 - --help loads no server
        from codeq_fake.serving.descriptors import raise_limit  # noqa: PLC0415 - as above
        from codeq_fake.serving.server import serve as serve_until_stopped  # noqa: PLC0415 - as above
        from codeq_fake.serving.server import url_of  # noqa: PLC0415 - as above

        from .startup import build, limits_of, listen_on  # noqa: PLC0415 - as above

    raise_limit()
    options = Options(**flags)
    fake = build(options, log="text" if sys.stderr.isatty() else "none")
    limits = limits_of(options)
    port = fake.runtime.config.settings.port if options.port is None else options.port
    listener = listen_on(options.host, port, limits)
    url = url_of(listener)
    with background_output():
        serve_until_stopped(
            fake.app,
            fake.runtime,
            listener,
            limits=limits,
            ready=lambda: _announce(fake, url, as_json=as_json),
            within=fake.running(),
        )


@contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """A context for imports, whose objects stay: the garbage collector never looks at them, neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _announce(fake: Built, url: str, *, as_json: bool) -> None:
    """Print the line that says where the fake is and how to call it, as text or as JSON."""
    from codeq_fake.control.representations import health as health_of  # noqa: PLC0415 - as above

    health, named = health_of(fake.runtime), fake.runtime.tokens.by_role()
    if as_json:
        facts = {"url": url, "profile": health["profile"], "clock": health["clock"], "now": health["now"]}
        given = {"origins": fake.origins} if fake.origins else {}
        page_of = {"page": f"{url}/_fake/"} if fake.has_page else {}
        click.echo(json.dumps({**facts, "tokens": named, **given, **page_of}))
        return
    tokens = ", ".join(f"{name} {token}" for name, token in named.items() if token is not None) or "signed ones only"
    origins = ", ".join(f"{name} from {place}" for name, place in fake.origins.items())
    settings = f"  settings: {origins}" if origins else ""
    server = f"{url}  profile {health['profile']}  {health['clock']} clock at {health['now']}"
    page = f"  page: {url}/_fake/" if fake.has_page else ""
    click.echo(printable(f"{server}{settings}  tokens: {tokens}{page}"))


@click.command(context_settings={"allow_interspersed_args": False})
@start_options(port="a free one", log="none")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, command: Sequence[str], **flags: Any) -> None:
    """Run COMMAND with its own fake.

    It passes signals on to COMMAND, and ends with its exit code. COMMAND gets the environment variables
    CODEQ_BASE_URL, CODEQ_PRODUCER_TOKEN, CODEQ_WORKER_TOKEN and CODEQ_ADMIN_TOKEN:

        codeq-fake run -- pytest -q
    """
    import asyncio  # noqa: PLC0415 - as above

    from codeq_fake.serving.background_stream import background_output  # noqa: PLC0415 - as above
    from codeq_fake.serving.server import served  # noqa: PLC0415 - as above

    from .command_process import end_of  # noqa: PLC0415 - as above
    from .startup import build, limits_of, listen_on  # noqa: PLC0415 - as above

    options = Options(**flags)
    fake = build(options, log="none")
    limits = limits_of(options)
    listener = listen_on(options.host, options.port or 0, limits)

    async def with_server() -> int:
        with closing(listener), fake.running():
            async with served(fake.app, fake.runtime, listener, limits=limits) as url:
                code = await end_of(command, _environment(options, fake.runtime.tokens.environment(url)))
                if not options.quiet and options.log in (None, "none"):
                    _tell_surprises(fake)
                return code

    with background_output():
        code = asyncio.run(with_server())
    sys.exit(code)


def _environment(options: Options, of_clients: Mapping[str, str]) -> dict[str, str]:
    """The variables of the command: it finds the fake, calls it past any proxy, and may use its control API."""
    control = {"CODEQ_FAKE_CONTROL_TOKEN": options.control_token} if options.control_token else {}
    return {**_with_direct_loopback(options.environ), **of_clients, **control}


def _with_direct_loopback(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of `environ`; if they set proxies, programs that read them call this machine directly."""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if excepted.strip() == "*" or not any(name.lower() in _PROXIES for name in environ):
        return environ
    direct = f"{excepted},{_LOOPBACK}" if excepted else _LOOPBACK
    return {**environ, "no_proxy": direct, "NO_PROXY": direct}


def _tell_surprises(fake: Built) -> None:
    """Report the surprises that a log would have reported."""
    for surprise in fake.runtime.surprises.so_far():
        if surprise.request is not None:  # the settings are often shared with other programs
            tell(f"surprise: {surprise}")
