"""Reads settings from environment variables and a YAML file, and finds misspelled names in both."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from codeq_fake.core.rate_limits import SCOPES
from codeq_fake.documents import BadDocumentError, one_line

from .readers import RATE_LIMIT_KEYS, SettingsError, is_null, kind

#: Settings that the real server reads only from its YAML file.
YAML_ONLY = frozenset({"env", "timezone", "default_lease_seconds", "requeue_inspect_limit", "rate_limit"})

#: Variables that CodeQ's documents name, besides `LOG_*`, but that its server does not read.
_UNREAD = frozenset({"ENV", "TIMEZONE", "DEFAULT_LEASE_SECONDS", "REQUEUE_INSPECT_LIMIT"})

#: Other programs often have names close to a known name that is shorter than this.
_SHORTEST = 8


class Sources(NamedTuple):
    """Both sources. `written` is the top level of the YAML with every scalar as text, so that both have one reader."""

    environ: Mapping[str, str]
    written: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, environ: Mapping[str, str], yaml_text: str | None) -> Sources:
        """The environment with this YAML text, or else with the file in `CODEQ_CONFIG_PATH`. Raises SettingsError."""
        path = environ.get("CODEQ_CONFIG_PATH", "")
        if yaml_text is not None:
            return cls(environ, _top_level("the YAML settings", yaml_text))
        if path:
            return cls(environ, _top_level(f"CODEQ_CONFIG_PATH: {path!r}", _file(path)))
        return cls(environ)

    def find(self, name: str) -> tuple[str, Any]:
        """The place of a setting, for messages, and its value there, or None.

        The environment wins. An empty text is not a value.
        """
        variable = name.upper()
        if name not in YAML_ONLY and self.environ.get(variable):
            return variable, self.environ[variable]
        key = camel(name)
        value = self.written.get(key)
        return f"YAML {key}", None if is_null(value) else value

    def origins(self, names: Iterable[str]) -> list[str]:
        """The places of the settings among `names` that have a value: `VARIABLE` or `YAML key`."""
        return [source for source, written in map(self.find, names) if written]

    def ignored_keys(self, names: Iterable[str]) -> list[str]:
        """The keys of the YAML that are none of the settings `names`, nor of the store, which a fake does without."""
        known = {camel(name) for name in (*names, "redis_addr", "redis_password")}
        limits = {scope: dict.fromkeys(RATE_LIMIT_KEYS) for scope in SCOPES}
        return _unknown(self.written, dict.fromkeys(known) | {"rateLimit": limits})

    def unread(self) -> tuple[str, ...]:
        """The variables that are set but that no server reads, although its documents name them."""
        names = (name for name, value in self.environ.items() if value)
        return tuple(sorted(name for name in names if name in _UNREAD or name.startswith("LOG_")))


def _unknown(written: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """The keys of `written` that are not `known`, with those inside of a section whose keys are known too."""
    unknown: list[str] = []
    for key, value in written.items():
        if key not in known:
            unknown.append(str(key))
        elif isinstance(value, dict) and known[key] is not None:
            unknown += [f"{key}.{inner}" for inner in _unknown(value, known[key])]
    return unknown


@cache
def camel(name: str) -> str:
    """The name of a setting in YAML. It is remembered: each fake reads all settings."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"CODEQ_CONFIG_PATH: {path!r} cannot be read ({one_line(error)}); name a YAML file or unset it"
        raise SettingsError(message) from None


def _top_level(source: str, text: str) -> dict[str, Any]:
    document = _load(source, text, typed=False)
    for name in ("producerAuthConfig", "workerAuthConfig"):
        if isinstance(document.get(name), dict):
            # Here types matter: a claim that is not a text is not a tenant (A9).
            document[name] = json.dumps(_load(source, text, typed=True)[name])
    return document


def _load(source: str, text: str, *, typed: bool) -> dict[str, Any]:
    """The YAML document as a mapping; {} for an empty one."""
    if not text:  # as most fakes in tests have it
        return {}
    from codeq_fake.documents.yaml_text import read_yaml  # noqa: PLC0415 - slow, and often not needed

    try:
        document = read_yaml(text, typed=typed)
    except BadDocumentError as error:
        raise SettingsError(f"{source}: no valid YAML ({error}); correct it or leave it out") from None
    if is_null(document):
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{source}: found a {kind(document)}; it must map names of settings to values")
    return document


def near_misses(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """The unknown `names` that are one typing error away from a known name, each with that name."""
    unknown = [name for name in names if name not in known]
    return {
        name: meant for name in unknown for meant in known if len(meant) >= _SHORTEST and _is_near_miss(name, meant)
    }


def _is_near_miss(written: str, meant: str) -> bool:
    """Whether one character is missing, added or wrong, or two neighbours are swapped."""
    if abs(len(written) - len(meant)) > 1:
        return False
    rest, wanted = _without_common_start(written, meant)
    rest, wanted = _without_common_start(rest[::-1], wanted[::-1])
    return max(len(rest), len(wanted)) <= 1 or (len(rest) == 2 and rest == wanted[::-1])  # noqa: PLR2004 - a pair


def _without_common_start(first: str, second: str) -> tuple[str, str]:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    return first[shared:], second[shared:]
