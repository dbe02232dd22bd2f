"""The options of the suite: from the command line, CODEQ_CONTRACT_* variables, or a YAML file, in this order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import yaml

from codeq_contract.clauses import CLAUSES, FACTS, VERSIONS, clauses_on, facts_on
from codeq_contract.driver import KnownSettings
from codeq_contract.driver.commands import Command
from codeq_contract.driver.identities import callers
from codeq_contract.driver.processes import Program
from codeq_contract.driver.served_fakes import ServedFakes
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.store_processes import EmbeddedStore, Store, StoreAddress, StoreProgram
from codeq_contract.driver.targets import FEATURES, Deployment, InProcessTarget, ServerTarget, Target
from codeq_contract.recordings.format import UNREADABLE
from codeq_contract.report.results import GROUPS
from codeq_contract.stores import EMBEDDED, STORES, nearest

ENVIRONMENT = "CODEQ_CONTRACT_"
AUTO = "auto"
CALLERS = tuple(callers(""))
TARGETS = ("asgi", "http", "command", "container", "url")

#: The targets that are real servers, whose known deviations are expected.
_REAL = frozenset({"command", "container", "url"})

_STORE_IMAGE, _STORE_PROGRAM = "apache/kvrocks:2.7.0", "redis-server"


#: The options whose values in the YAML file are not texts.
_STRUCTURED = frozenset({"tokens", "settings", "without", "yes", "dry_run"})


class OptionsError(Exception):
    """The options are wrong. The text says what to change."""


def _option(default: str, text: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Options:
    """Each field with a help text is the option `--<field>`. The others appear only in the YAML file."""

    target: str = _option("asgi", f"where to run: {', '.join(TARGETS)}  [asgi]")
    config: str = _option("", "a YAML file with any of these options, `tokens`, `settings` and `without`")
    contract: str = _option(
        "", f"the version: {', '.join(VERSIONS)}, or auto: the server is asked  [{VERSIONS[0]} for a fake, else auto]"
    )
    profile: str = _option(
        "", f"the store, or VERSION/STORE: {', '.join(STORES)}  [as found; kvrocks-2.8 for a fake, any for a URL]"
    )
    url: str = _option("", "the deployment of the target url")
    producer_token: str = _option("", "the token of its producer")
    worker_token: str = _option("", "the token of its worker")
    admin_token: str = _option("", "the token of its admin")
    token_command: str = _option("", "a command that prints the token of the caller whose name it is given")
    webhook_bind: str = _option("127.0.0.1:0", "where to listen for the callbacks of a deployment")
    webhook_advertise: str = _option("", "the URL at which the deployment reaches that")
    image: str = _option("ghcr.io/osvaldoandrade/codeq-service:v0.3.3", "the server's image, of the target container")
    server: str = _option("", "the server's program, of the target command")
    store: str = _option("", f"the store's image, or its program  [{_STORE_IMAGE}; {_STORE_PROGRAM}]")
    store_addr: str = _option("", "HOST:PORT of a store that runs already, of the target command")
    receiver_image: str = _option("", "an image with Python, for the webhook  [python:3.12-slim for a remote engine]")
    level: str = _option("", f"run these groups only, separated by commas: {', '.join(GROUPS)}")
    fact: str = _option("", "run only the cases of these facts or clauses, separated by commas: K5.3,K8")
    known: str = _option(
        "", f"a list of known deviations: a file, `none`, or a version  [that of a real server: {', '.join(VERSIONS)}]"
    )
    seed: str = _option("", "a number, to generate the same plans as the run that reported it")
    report: str = _option("", "a folder for report.json, junit.xml and report.html")
    tokens: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    without: tuple[str, ...] = ()
    yes: bool = False
    dry_run: bool = False

    @classmethod
    def read(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
        """Combine the three sources. Empty values of `given` count as absent. Raises OptionsError."""
        values = {**_from_environment(environ), **{name: value for name, value in given.items() if value}}
        if values.get("config"):
            values = {**_from_file(values["config"]), **values}
        options = cls(**values)
        options._check()
        return options

    def _check(self) -> None:
        """Refuse values that no run can have. Raises OptionsError."""
        if self.target not in TARGETS:
            raise OptionsError(f"--target: found {self.target!r}; it must be one of {', '.join(TARGETS)}")
        self._check_profile()
        if self.target == "url" and not self.url:
            raise OptionsError("--url: the target url needs one")
        unknown = [name for name in self.facts if name not in FACTS and name not in CLAUSES]
        if unknown:
            raise OptionsError(f"--fact: found {unknown[0]!r}; the contract has no such fact or clause")
        if self.target == "command":
            self._check_command()
        if self.seed and not self.seed.isdecimal():
            raise OptionsError(f"--seed: found {self.seed!r}; it must be a whole number")
        host, _, port = self.webhook_bind.rpartition(":")
        if not host or not port.isdecimal():
            raise OptionsError(f"--webhook-bind: found {self.webhook_bind!r}; it must be HOST:PORT")
        unknown = [level for level in self.levels if level not in GROUPS]
        if unknown:
            raise OptionsError(f"--level: found {unknown[0]!r}; it must be some of {', '.join(GROUPS)}")
        unknown_callers = sorted(self.tokens.keys() - set(CALLERS))
        if unknown_callers:
            raise OptionsError(f"tokens: found {unknown_callers[0]!r}; it must be some of {', '.join(CALLERS)}")

    def _check_profile(self) -> None:
        """As `_check`, for the version and the store."""
        if self.store_profile:
            _check_choice("--profile", self.store_profile, STORES)
        if self._named_version:
            _check_choice("--profile", self._named_version, VERSIONS)
        if self.contract:
            _check_choice("--contract", self.contract, (*VERSIONS, AUTO))
        if self.store_profile == EMBEDDED and self.version not in ("", VERSIONS[-1]):
            raise OptionsError(f"--profile: found {self.profile!r}; only {VERSIONS[-1]}/{EMBEDDED} exists")
        if self._named_version and self.contract not in ("", AUTO, self._named_version):
            raise OptionsError(f"--contract: found {self.contract!r} and --profile {self.profile}; they contradict")
        absent = [name for name in self.facts if self.version and not _is_part(name, self.version)]
        if absent:
            raise OptionsError(f"--fact: found {absent[0]!r}, which the contract of {self.version} does not have")

    def _check_command(self) -> None:
        """As `_check`, for the target command."""
        if not self.server:
            raise OptionsError("--server: the target command needs one, the path of the server's program")
        if self.store_profile == EMBEDDED and (self.store or self.store_addr):
            raise OptionsError(f"--profile: found {self.profile!r} and a store; {EMBEDDED} is a part of the server")
        if self.store and self.store_addr:
            raise OptionsError("--store-addr: found --store as well; the server uses one of them")
        host, _, port = self.store_addr.rpartition(":")
        if self.store_addr and not (host and _is_port(port)):
            raise OptionsError(f"--store-addr: found {self.store_addr!r}; it must be HOST:PORT")

    @property
    def store_profile(self) -> str:
        """The store, without the version."""
        return self.profile.rpartition("/")[2]

    @property
    def _named_version(self) -> str:
        return self.profile.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version of the contract. Empty if the server is asked."""
        if self.contract == AUTO or (self.target in _REAL and not (self.contract or self._named_version)):
            return ""
        return self.contract or self._fake_version

    @property
    def _fake_version(self) -> str:
        named = self._named_version or self.contract
        return VERSIONS[0] if named in ("", AUTO) else named

    @property
    def levels(self) -> tuple[str, ...]:
        """The groups to run."""
        return tuple(level.strip() for level in self.level.split(",")) if self.level else GROUPS

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts and clauses whose cases to run. Empty for all."""
        return tuple(name.strip() for name in self.fact.split(",")) if self.fact else ()

    def chosen_target(self) -> Target:
        """The target to run on. Raises OptionsError."""
        profile, version = self.store_profile or "kvrocks-2.8", self._fake_version
        match self.target:
            case "asgi":
                return InProcessTarget(profile, version=version)
            case "http":
                fake = Command(_fake_program(), profile=profile, version=version, name="http")
                return ServerTarget(ServedFakes(fake))
            case "command":
                return self._command()
            case "url":
                return self._deployment()
            case _:
                return self._containers()

    @property
    def known_deviations(self) -> str:
        """The list of known deviations. Empty for that of the server's version."""
        return self.known or ("" if self.target in _REAL else "none")

    def _command(self) -> ServerTarget:
        """Servers that are started as a program. Raises OptionsError."""
        try:
            command = Command(Program.of(self.server, "--server"), self._store(), self.store_profile, self.version)
        except NotRunError as reason:
            raise OptionsError(f"not run: {reason}") from None
        return ServerTarget(command)

    def _store(self) -> Store:
        """The store of servers that are started as a program. Raises NotRunError."""
        if self.store_profile == EMBEDDED:
            return EmbeddedStore()
        if self.store_addr:
            return StoreAddress(self.store_addr, os.environ.get("REDIS_PASSWORD", ""))
        return StoreProgram(Program.of(self.store or _STORE_PROGRAM, "--store"))

    def _containers(self) -> ServerTarget:
        """The target with containers. Raises OptionsError if there is no engine."""
        from codeq_contract.driver.containers import Containers  # noqa: PLC0415 - needs testcontainers

        try:
            return ServerTarget(
                Containers.of(
                    self.image, self.store or _STORE_IMAGE, self.store_profile, self.receiver_image, self.version
                )
            )
        except NotRunError as reason:
            raise OptionsError(f"not run: {reason}") from None

    def _deployment(self) -> Deployment:
        """The deployment that the options describe. Raises OptionsError."""
        host, _, port = self.webhook_bind.rpartition(":")
        try:
            KnownSettings.of(self.settings)
        except ValueError as error:
            raise OptionsError(f"settings: {error}") from None
        return Deployment(
            url=self.url,
            tokens=self._tokens(),
            settings=self.settings,
            profile=self.store_profile or "any",
            features=(FEATURES | ({"clean_up"} if self.yes else set())) - set(self.without),
            listen_at=(host, int(port)),
            advertised=self.webhook_advertise.rstrip("/"),
        )

    def _tokens(self) -> Mapping[str, str]:
        """The tokens of a deployment's callers, from options, file and command. Raises OptionsError."""
        given = {"producer": self.producer_token, "worker": self.worker_token, "admin": self.admin_token}
        tokens = {**self.tokens, **{name: token for name, token in given.items() if token}}
        if self.token_command:
            tokens = {**{name: _printed_token(self.token_command, name) for name in CALLERS}, **tokens}
        known = {name: token for name, token in tokens.items() if token}
        for name, token in known.items():
            if not (token.isascii() and token.isprintable()):
                raise OptionsError(f"the token of {name} has a character that is not printable ASCII")
        missing = [name for name in ("producer", "worker") if name not in known]
        if missing:
            raise OptionsError(
                f"--{missing[0]}-token: the target url needs one; "
                "without a producer no case begins, and without a worker none ends its tasks"
            )
        return known


def _check_choice(option: str, found: str, allowed: Collection[str]) -> None:
    """Refuse a value that is none of these, with the nearest of them. Raises OptionsError."""
    if found not in allowed:
        hint = nearest(found, allowed)
        raise OptionsError(f"{option}: found {found!r}; it must be one of {', '.join(allowed)}{hint}")


def _is_part(name: str, version: str) -> bool:
    """Whether a fact or a clause is part of that version's contract."""
    return name in facts_on(version) or name in clauses_on(version)


def option_names() -> Mapping[str, str]:
    """The fields that are options on the command line, with their help texts."""
    return {each.name: each.metadata["help"] for each in fields(Options) if "help" in each.metadata}


def suite_options(*, but: Collection[str] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add all options except `but` to a click command, without the prefix of the pytest options."""

    def add_all(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, text in reversed([*option_names().items()]):
            if name not in but:
                flag, about = f"--{name.replace('_', '-')}", text.replace("  [", " [")
                command = click.option(flag, name, metavar="TEXT", help=about)(command)
        return command

    return add_all


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {name: environ.get(ENVIRONMENT + name.upper(), "") for name in option_names()}
    return {name: value for name, value in names.items() if value}


def _from_file(path: str) -> dict[str, Any]:
    """The options in a YAML file. Raises OptionsError."""
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, *UNREADABLE) as error:
        raise OptionsError(f"--config {path}: {' '.join(str(error).split())}") from None
    allowed = {each.name for each in fields(Options)}
    unknown = sorted(map(str, set(document) - allowed)) if isinstance(document, dict) else ["no mapping"]
    if unknown:
        raise OptionsError(f"--config {path}: found {unknown[0]!r}; it may have {', '.join(sorted(allowed))}")
    for name, value in document.items():
        wanted = {"tokens": dict, "settings": dict, "without": list}.get(name, (str, int, float))
        if value is not None and not isinstance(value, wanted):
            raise OptionsError(f"--config {path}: {name} must not be a {type(value).__name__}")
    document = {name: value if name in _STRUCTURED else str(value) for name, value in document.items()}
    for name in ("tokens", "settings"):
        document[name] = {str(key): str(value) for key, value in (document.get(name) or {}).items()}
    document["without"] = tuple(document.get("without") or ())
    return document


def _printed_token(command: str, name: str) -> str:
    """The output of the command. Empty if it fails, so that there is no such caller."""
    process = subprocess.run([*command.split(), name], capture_output=True, text=True, check=False)  # noqa: S603 - the user's command
    return process.stdout.strip() if process.returncode == 0 else ""


def _fake_program() -> Program:
    """The fake beside this Python. Raises OptionsError."""
    beside = Path(sys.executable).with_name("codeq-fake")
    try:
        fake = Program.of(str(beside) if beside.exists() else "codeq-fake", "target http:")
    except NotRunError as reason:
        raise OptionsError(str(reason)) from None
    return Program((*fake.words, "serve", "--no-control"), fake.option)


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 2**16
