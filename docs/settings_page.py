"""Makes the page docs/reference/settings.md: every setting of the server, of the commands and of a fake in a test."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from codeq_fake import pytest_plugin
from codeq_fake.cli.serve import run, serve
from codeq_fake.server_settings import Settings
from codeq_fake.server_settings.sources import YAML_ONLY, camel
from codeq_fake.testing import FakeCodeQ
from docs.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What each of the server's settings does, by the name of its field.
_ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "port": "port of `serve` without `--port`",
        "producer_auth_provider": "`static` or `jwks`, on main `multi` too (G8): how producers' tokens are checked",
        "producer_auth_config": "JSON of the provider",
        "worker_auth_provider": "`static` or `jwks`, on main `multi` too (G8): how workers' tokens are checked",
        "worker_auth_config": "JSON of the provider",
        "allow_producer_as_worker": "a producer's token also works as a worker's token with every scope (A6)",
        "max_attempts_default": "attempts of a task that sets no `maxAttempts` (C4)",
        "backoff_policy": "`fixed`, `linear`, `exponential`, `exp_equal_jitter` or `exp_full_jitter`; "
        "an unknown policy acts as the last one, and is reported as a surprise (N6)",
        "backoff_base_seconds": "base of the policy",
        "backoff_max_seconds": "longest delay before a retry (N3)",
        "result_webhook_max_attempts": "tries of a callback (W3)",
        "result_webhook_base_backoff_seconds": "delay before the second try",
        "result_webhook_max_backoff_seconds": "longest delay between two tries",
        "webhook_hmac_secret": "key that signs callbacks and notices; without it they are not signed (W2)",
        "subscription_cleanup_interval_seconds": "how often expired subscriptions are deleted (U9)",
        "local_artifacts_dir": "directory for artifacts (S5), if it is set when the fake starts; "
        "a reset only changes their URLs",
        "tracing_enabled": "tasks carry trace contexts (X1)",
        "persistence_provider": "`pebble`: the profile is `main/pebble`, if none is named; others change nothing",
        "persistence_config": "ignored: the fake needs no files; a JSON object",
        "env": "with `dev` the header `X-Role: ADMIN` makes a caller an admin (A8)",
        "timezone": "time zone of `createdAt`, `updatedAt` and `completedAt`",
        "default_lease_seconds": "length of a claim or a heartbeat that sets none (K2, H1)",
        "requeue_inspect_limit": "most due delayed tasks that one claim moves (K7)",
        "rate_limit": "`requestsPerMinute` and `burstSize` for `producer`, `worker`, `admin`, `webhook` (L1)",
    }
)

#: Settings that the fake ignores.
_IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "REDIS_ADDR": "the fake needs no store",
        "REDIS_PASSWORD": "the fake needs no store",
        "ENV, TIMEZONE, DEFAULT_LEASE_SECONDS, REQUEUE_INSPECT_LIMIT, LOG_*": "CodeQ's documents name them, and the "
        "server does not read them; reported as a surprise",
    }
)

#: What each argument of a fake does.
_ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "profile": "version and store of the real server: `kvrocks-2.8`, or what PERSISTENCE_PROVIDER names",
        "clock": "`manual`, `real`, or `auto` in an async test",
        "now": "start of the clock: RFC 3339, or a datetime with a time zone",
        "settings": "the server's environment variables",
        "yaml": "the server's configuration file, as text",
        "identities": "callers of your own: `{name: {kind, token, claims}}`",
        "webhooks": "origins such as `http://app.test`, and the ASGI applications that answer there",
        "webhook_allow": "hosts that callbacks may go to, besides this machine and private networks",
        "any_host": "requests on this machine may name any host, although everyone knows the token `dev-token`",
        "journal_size": "number of requests and callbacks that are kept",
        "journal_bytes": "bytes of requests, and of callbacks, that are kept; the latest entry stays in any case",
        "seed": "makes ids and jitter repeatable",
        "control_token": "bearer token of the control API",
        "filled_from": "seed file: the first tasks and subscriptions",
        "reaper_phase": "with `main/pebble`: a time in seconds since 1970 at which the reaper looks for leases (P1)",
    }
)

_SETTINGS = """\
# Settings

Every setting of the server, of the commands and of a fake in a test. `python -m docs.generate` writes this page from
the code.

## Of the server

Set them as environment variables, whose names are in capitals, or in the YAML file that `CODEQ_CONFIG_PATH` names; the
environment wins. They are the real server's settings with its defaults. A malformed value is an error that names the
setting. So is, in a test and in a reset, a name that looks like a typing error in one of these; `serve` and `run` only
warn. They also name keys of the YAML file that have no effect. Other names are ignored. The start line of `serve` says
where each setting comes from that is not a flag.
"""
_AUTH = """
A static provider's JSON is `{"token", "subject", "email", "scopes": [], "eventTypes": [], "raw": {}}`, or a bare
string: the token. A JWKS provider's JSON is `{"jwksUrl", "issuer", "audience", "httpTimeout"}`, with the timeout in
nanoseconds. The URL may be a `file://`; `jwks` may hold the key set itself. Without any of these settings the token
`dev-token` may do everything.

## The store profile

CodeQ stores a lease as a key with a time to live. It counts the lease as over when the store reports no whole second
left. So a lease ends early, and how early depends on the store (K8):

| profile | a lease counts as over |
| --- | --- |
| `redis` | 0.5 s before its end |
| `kvrocks-2.9` | 1 s before its end |
| `kvrocks-2.8`, the default: CodeQ's own deployment files pin it | 0.5 to 1.5 s before its end |
| `main/pebble` | from the second of its end on, the fraction cut off |

`main/` before a store is CodeQ's main branch. Its embedded store `pebble` has a reaper, which ends leases every 2 s
even if no worker claims (P1). No claim finds a task that the reaper has requeued, until another task of its command is
delayed (P6). So a test that advances the clock over the end of a lease may see another outcome than on Redis; the
task's `claimable` says why.
"""
_OPTIONS = """
## Of the commands

`codeq-fake serve` and `codeq-fake run` share these. An option wins over its environment variable, and that over `.env`.
`--help` of each command shows the others.
"""
_PYTEST = """
## Of a fake in a test

Arguments of `FakeCodeQ` and of the marker `@pytest.mark.codeq(...)`, and entries of a fixture `codeq_options`. The
marker wins over the fixture, and the fixture over the ini file.
"""


def settings() -> str:
    """The page of all settings."""
    return "\n".join(
        [
            _SETTINGS,
            *table("environment, YAML", "default", "", rows=_server_settings()),
            _AUTH,
            _OPTIONS.lstrip("\n"),
            *table("flag", "environment", "default", "", rows=_flags()),
            _PYTEST,
            *table("argument", "default", "", rows=_arguments()),
            "",
            *table("ini option", "default", "", rows=_ini()),
            "",
        ]
    )


def _server_settings() -> Iterator[tuple[str, ...]]:
    defaults = Settings()
    for name, about in _ABOUT.items():
        names = [camel(name)] if name in YAML_ONLY else [name.upper(), camel(name)]
        yield ", ".join(map(_code, names)), _default(getattr(defaults, name, None)), about
    for ignored, why in _IGNORED.items():
        yield ", ".join(map(_code, ignored.split(", "))), "", f"ignored: {why}"


def _flags() -> Iterator[tuple[str, ...]]:
    own = {param.name for param in serve.params} ^ {param.name for param in run.params}
    for param in serve.params:
        if isinstance(param, click.Option):
            about = (param.help or "").replace("  [", " [")
            only = f"only `serve`: {about}" if param.name in own else about
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

    pytest_plugin.pytest_addoption(Parser())  # type: ignore[arg-type]  # the only method that is called
    return iter(found)


def _default(value: Any) -> str:  # noqa: ANN401 - of any setting
    if isinstance(value, ZoneInfo):
        return _code(value.key)
    if isinstance(value, bool):
        return _code(str(value).lower())
    return _code(str(value)) if isinstance(value, str | int) and value != "" else ""


def _code(text: str) -> str:
    return f"`{text}`"
