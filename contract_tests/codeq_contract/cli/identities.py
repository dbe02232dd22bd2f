"""The commands `codeq-contract identities mint` and `serve`."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path

import click

from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.identity_folder import PROVIDERS, IdentityFolder, IdentityFolderError
from codeq_contract.driver.webhooks import KEYS_PATH, KeysEndpoint, serve_in_thread
from codeq_contract.recordings.times import SECOND

from .output import CannotRunError, host_and_port

_ADDRESS = "127.0.0.1:8098"


@click.group("identities")
def identities() -> None:
    """Make the tokens that the suite needs, for a deployment of yours."""


@identities.command("mint")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--provider", type=click.Choice(PROVIDERS), default="jwks", show_default=True, help="How the server checks tokens."
)
@click.option(
    "--jwks-url",
    default=f"http://{_ADDRESS}{KEYS_PATH}",
    show_default=True,
    help="Where the server finds the public keys, with the provider jwks.",
)
@click.option("--tenant", default="cq-contract", show_default=True, help="The beginning of the names of both tenants.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How long signed tokens are valid."
)
def mint(folder: Path, *, provider: str, jwks_url: str, tenant: str, days: int) -> None:
    """Write keys, tokens and the settings of a server that accepts them into FOLDER.

    The files are for their owner alone. Signed tokens are for all callers of the suite, in two tenants; static ones are
    for a producer, who is the admin too, and a worker. In a folder with keys these stay, and the tokens are renewed.

    Exit status: 0 written, 2 not written.
    """
    files = IdentityFolder(folder)
    try:
        if provider == "jwks":
            files.mint_signed(tenant=tenant, jwks_url=jwks_url, now=RealClock().now() // SECOND, days=days)
        else:
            files.mint_static(tenant=tenant)
    except (IdentityFolderError, OSError) as error:
        raise CannotRunError(str(error)) from None
    click.echo(f"{files.settings}: the settings of the server")
    click.echo(f"{files.tokens_file}: the tokens, for `codeq-contract init --identities {folder}`")
    if provider == "jwks":
        click.echo(f"{files.public_keys}: the public keys; the server must find them at {jwks_url}")
        click.echo(f"`codeq-contract identities serve {folder}` serves them")


@identities.command("serve")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--bind", default=_ADDRESS, show_default=True, metavar="HOST:PORT", help="Where to listen.")
def serve(folder: Path, *, bind: str) -> None:
    """Serve the public keys in FOLDER until ctrl-C. Nothing else in it is served.

    Exit status: 0 ended, 2 it could not be served.
    """
    try:
        keys = IdentityFolder(folder).jwks()
        host, port = host_and_port(bind, option="--bind")
        with serve_in_thread(KeysEndpoint(keys), host, port) as bound_port, suppress(KeyboardInterrupt):
            click.echo(f"http://{host}:{bound_port}{KEYS_PATH} serves the keys; ctrl-C ends it")
            sys.stdout.flush()
            threading.Event().wait()
    except (IdentityFolderError, OSError, OverflowError) as error:
        raise CannotRunError(str(error)) from None
