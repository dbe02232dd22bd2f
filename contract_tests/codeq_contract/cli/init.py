"""The command `codeq-contract init`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from codeq_contract.driver.identity_folder import IdentityFolder, IdentityFolderError, write_new
from codeq_contract.stores import STORES
from codeq_contract.suite.configuration_file import ConfigurationFile
from codeq_contract.suite.options import ENVIRONMENT, Options, OptionsError

from .output import CannotRunError


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="suite.yaml")
@click.option("--url", help="The deployment: the part of its addresses before /v1.")
@click.option("--profile", type=click.Choice([*STORES]), help="The store behind it.  [any]")
@click.option("--identities", type=click.Path(path_type=Path), help="A folder with tokens, of `identities mint`.")
@click.option("--token-command", metavar="COMMAND", help="A command that prints the token of the caller it is given.")
@click.option("--webhook-bind", metavar="HOST:PORT", help="Where to listen for callbacks.")
@click.option("--webhook-advertise", metavar="URL", help="The URL at which the deployment reaches that.")
def write_configuration(file: Path, *, identities: Path | None, **given: str | None) -> None:
    """Write a configuration of the suite for a deployment, with comments, into FILE [suite.yaml].

    At a terminal it asks for the URL, the tokens and the store unless options give them. Elsewhere tokens come from
    --identities, --token-command, or CODEQ_CONTRACT_PRODUCER_TOKEN, CODEQ_CONTRACT_WORKER_TOKEN and
    CODEQ_CONTRACT_ADMIN_TOKEN. The file is for its owner alone. A file that exists is kept.

    Exit status: 0 written, 2 not written.
    """
    if file.exists():
        raise CannotRunError(f"{file} exists already; remove it, or choose another name")
    values: dict[str, Any] = {name: value or "" for name, value in given.items()}
    try:
        values["tokens"] = _tokens_in_folder(identities) if identities else _tokens_in_environment()
        if sys.stdin.isatty():
            values |= _answers(values)
        _check(values)
        write_new(file, ConfigurationFile(**values).text())
    except (IdentityFolderError, OptionsError, OSError) as error:
        raise CannotRunError(str(error)) from None
    click.echo(f"{file} is written; next: codeq-contract run --config {file} --report report")


def _tokens_in_folder(folder: Path) -> Mapping[str, str]:
    return IdentityFolder(folder).tokens()


def _tokens_in_environment() -> Mapping[str, str]:
    given = {name: os.environ.get(f"{ENVIRONMENT}{name.upper()}_TOKEN", "") for name in ("producer", "worker", "admin")}
    return {name: token for name, token in given.items() if token}


def _answers(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the user says to the questions that no option answered."""
    answers: dict[str, Any] = {}
    if not values["url"]:
        answers["url"] = click.prompt("URL of the server, without /v1")
    if not values["profile"]:
        answers["profile"] = click.prompt("The store behind it", type=click.Choice([*STORES]), default="any")
    if not values["tokens"] and not values["token_command"]:
        answers["tokens"] = {
            name: click.prompt(f"Token of a {name} (not shown)", hide_input=True) for name in ("producer", "worker")
        }
    return answers


def _check(values: Mapping[str, Any]) -> None:
    """Raises OptionsError for a configuration that no run would accept."""
    options = Options.read({"target": "url", **values}, {})
    missing = [name for name in ("producer", "worker") if name not in options.tokens]
    if missing and not options.token_command:
        raise OptionsError(f"there is no token of a {missing[0]}; --identities or --token-command gives it")
