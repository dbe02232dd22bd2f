"""Writes the pages docs/reference/settings.md and differences.md from the code: run `python -m docs.generate`."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from codeq_fake import pytest_plugin
from codeq_fake.clause_coverage.coverage import SERVER, Clause, sections
from codeq_fake.cli.run import run
from codeq_fake.cli.serve import serve
from codeq_fake.settings import Settings
from codeq_fake.settings.sources import YAML_ONLY, camel
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


#: What each of the server's settings is for, by the name of its field.
_ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "port": "where `serve` listens without `--port`",
        "producer_auth_provider": "`static` or `jwks`: who may create tasks",
        "producer_auth_config": "JSON of the provider",
        "worker_auth_provider": "`static` or `jwks`: who may claim them",
        "worker_auth_config": "JSON of the provider",
        "allow_producer_as_worker": "a producer's token may act as a worker's, with every scope (A6)",
        "max_attempts_default": "attempts of a task that does not say how many (C4)",
        "backoff_policy": "`fixed`, `linear`, `exponential`, `exp_equal_jitter` or `exp_full_jitter`, "
        "as which an unknown one acts, with a surprise (N6)",
        "backoff_base_seconds": "what the policy counts from",
        "backoff_max_seconds": "the longest delay before a retry (N3)",
        "result_webhook_max_attempts": "tries of a callback (W3)",
        "result_webhook_base_backoff_seconds": "the delay before its second try",
        "result_webhook_max_backoff_seconds": "the longest delay between two tries",
        "webhook_hmac_secret": "signs callbacks and notices; unsigned without (W2)",
        "subscription_cleanup_interval_seconds": "how often expired subscriptions are deleted (U9)",
        "local_artifacts_dir": "where artifacts are stored (S5), if it is set when the fake starts; "
        "a reset changes their URLs alone",
        "tracing_enabled": "tasks carry trace contexts (X1)",
        "env": "with `dev` the header `X-Role: ADMIN` is believed (A8)",
        "timezone": "of `createdAt`, `updatedAt` and `completedAt`",
        "default_lease_seconds": "lease of a claim and length of a heartbeat that do not say (K2, H1)",
        "requeue_inspect_limit": "how many due delayed tasks a claim moves at most (K7)",
        "rate_limit": "`requestsPerMinute` and `burstSize` for `producer`, `worker`, `admin`, `webhook` (L1)",
    }
)

#: What is set and not looked at.
_IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "REDIS_ADDR": "the fake needs no store",
        "REDIS_PASSWORD": "as above",
        "ENV, TIMEZONE, DEFAULT_LEASE_SECONDS, REQUEUE_INSPECT_LIMIT, LOG_*": "documented, and read by no server: "
        "a surprise",
    }
)

#: What each argument of a fake is for.
_ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "profile": "the store behind the real server",
        "clock": "`manual`, `real`, or with an async test's loop `auto`",
        "now": "where the clock begins: RFC 3339, or a datetime with a zone",
        "settings": "the server's environment variables",
        "yaml": "its configuration file, as text",
        "identities": "callers of your own: `{name: {kind, token, claims}}`",
        "webhooks": "origins such as `http://app.test`, and the ASGI applications that answer there",
        "webhook_allow": "hosts that callbacks may go to, besides this machine and private networks",
        "journal_size": "how many requests and callbacks are remembered",
        "seed": "makes ids and jitter repeatable",
        "control_token": "bearer token of the control API",
        "filled_from": "a seed file: tasks and subscriptions to begin with",
    }
)

_SETTINGS = """\
# Every setting

Made by `python -m docs.generate` from what reads the settings.

## The server's own

By environment variable, or in the YAML file that `CODEQ_CONFIG_PATH` names; the environment goes before the file. They
are the real server's, with its defaults. A malformed value is refused by name. A name that is one slip of the keys away
from one of these is refused in a test and in a reset, and told of by `serve` and `run`; any other is not looked at.
"""
_AUTH = """
The JSON of a static provider is `{"token", "subject", "email", "scopes": [], "eventTypes": [], "raw": {}}`, or a bare
string, which is the token. That of a JWKS provider is `{"jwksUrl", "issuer", "audience", "httpTimeout"}`, the last in
nanoseconds; the URL may be a `file://`, or the key set itself may stand there as `jwks`. Without any of it the token
`dev-token` may do everything.
"""
_OPTIONS = """
## Of the commands

`codeq-fake serve` and `codeq-fake run` share these. A flag goes before its variable, and that before `.env`.
"""
_PYTEST = """
## Of a fake in a test

Arguments of `FakeCodeQ` and of the marker `@pytest.mark.codeq(...)`, and entries of a fixture `codeq_options`. The
marker goes before the fixture, and that before the ini file.
"""
_DIFFERENCES = f"""\
# How the fake differs from the real server

Made by `python -m docs.generate` from the ledger, which `GET /_fake/contract` shows with what your traffic touched.
The contract was taken from a running server {SERVER}: of each clause, what it says, whether the fake does the same, and
what is to be said about that. *read* is what was only read in the server's source, in part or as a whole.
"""
_OURS = {"exact": "the same", "differs": "**differs**", "absent": "**absent**"}


def settings() -> str:
    """The page of all settings."""
    return "\n".join(
        [
            _SETTINGS,
            *_table("environment", "YAML", "default", "", rows=_server_settings()),
            _AUTH,
            _OPTIONS.lstrip("\n"),
            *_table("flag", "environment", "default", "", rows=_flags()),
            _PYTEST,
            *_table("argument", "default", "", rows=_arguments()),
            "",
            *_table("ini option", "default", "", rows=_ini()),
            "",
        ]
    )


def differences() -> str:
    """The page of all clauses."""
    parts = [_DIFFERENCES]
    for section in sections():
        parts += [f"## {section.about}", "", *_table("", "", "the fake", "", rows=map(_clause, section.clauses)), ""]
    return "\n".join(parts)


def _table(*columns: str, rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    yield from (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def _server_settings() -> Iterator[tuple[str, ...]]:
    defaults = Settings()
    for name, about in _ABOUT.items():
        variable = "" if name in YAML_ONLY else _code(name.upper())
        yield variable, _code(camel(name)), _default(getattr(defaults, name, None)), about
    for names, why in _IGNORED.items():
        yield ", ".join(map(_code, names.split(", "))), "", "", f"not looked at: {why}"


def _flags() -> Iterator[tuple[str, ...]]:
    own = {param.name for param in serve.params} ^ {param.name for param in run.params}
    for param in serve.params:
        if isinstance(param, click.Option):
            about = (param.help or "").replace("  [", " [")
            only = f"`serve` alone: {about}" if param.name in own else about
            shown = _default(param.default) if param.show_default else ""
            yield _code(param.opts[0]), _code(str(param.envvar)) if param.envvar else "", shown, only


def _arguments() -> Iterator[tuple[str, ...]]:
    for name, parameter in inspect.signature(FakeCodeQ).parameters.items():
        yield _code(name), _default(parameter.default), _ARGUMENTS[name]


def _ini() -> Iterator[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    class Parser:
        def addini(self, name: str, about: str, default: str) -> None:
            found.append((_code(name), _default(default), about))

    pytest_plugin.pytest_addoption(Parser())  # type: ignore[arg-type]  # all that it is asked for
    return iter(found)


def _clause(clause: Clause) -> tuple[str, ...]:
    read = " *read*" if clause.certainty == "source" else ""
    return f"**{clause.id}**", clause.says, f"{_OURS[clause.ours]}{read}", clause.note


def _default(value: Any) -> str:  # noqa: ANN401 - of any setting
    if isinstance(value, ZoneInfo):
        return _code(value.key)
    if isinstance(value, bool):
        return _code(str(value).lower())
    return _code(str(value)) if isinstance(value, str | int) and value != "" else ""


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    here = Path(__file__).parent / "reference"
    (here / "settings.md").write_text(settings(), encoding="utf-8")
    (here / "differences.md").write_text(differences(), encoding="utf-8")
