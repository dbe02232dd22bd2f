"""Where settings are written: the environment and a YAML file, asked under one name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SettingsError, kind, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Settings that the real server reads from its YAML file alone.
YAML_ONLY = frozenset({"env", "timezone", "default_lease_seconds", "requeue_inspect_limit", "rate_limit"})

#: What upstream's documents let the environment set, besides ``LOG_*``, and its server does not read there.
_UNREAD = frozenset({"ENV", "TIMEZONE", "DEFAULT_LEASE_SECONDS", "REQUEUE_INSPECT_LIMIT"})

_NULLS = (None, "", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sources:
    """Both places. ``written`` is the YAML's top level with every scalar as text, so that one reader serves both."""

    environ: Mapping[str, str]
    written: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, environ: Mapping[str, str], yaml_text: str | None) -> Sources:
        """With the YAML text given, or else with the file that ``CODEQ_CONFIG_PATH`` names. Raises SettingsError."""
        path = environ.get("CODEQ_CONFIG_PATH", "")
        if yaml_text is not None:
            return cls(environ, _top_level("the YAML settings", yaml_text))
        if path:
            return cls(environ, _top_level(f"CODEQ_CONFIG_PATH: {path!r}", _file(path)))
        return cls(environ)

    def find(self, name: str) -> tuple[str, Any]:
        """Where ``name`` is set, as its writer calls it, and what was found there: None for nowhere.

        The environment wins; an empty text is no value.
        """
        variable = name.upper()
        if name not in YAML_ONLY and self.environ.get(variable):
            return variable, self.environ[variable]
        key = camel(name)
        found = self.written.get(key)
        return f"YAML {key}", None if is_null(found) else found

    def unread(self) -> tuple[str, ...]:
        """The variables that are set and that no server reads, whatever its documents say (section 17)."""
        return tuple(sorted(name for name, value in self.environ.items() if value and _is_unread(name)))


def _is_unread(name: str) -> bool:
    return name in _UNREAD or name.startswith("LOG_")


def is_null(found: object) -> bool:
    """Whether a value from YAML, read as text, is no value."""
    return isinstance(found, str | None) and found in _NULLS


def camel(name: str) -> str:
    """A setting's name as YAML has it."""
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
            # Here types matter: a claim that is no text is not a tenant (A9).
            document[name] = json.dumps(_load(source, text, typed=True)[name], default=str)
    return document


def _load(source: str, text: str, *, typed: bool) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - a start without YAML need not pay for it

    try:
        document = yaml.load(text, yaml.SafeLoader if typed else yaml.BaseLoader)  # noqa: S506 - both make plain values
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{source}: no valid YAML ({one_line(error)}); correct it or leave it out") from None
    if is_null(document):
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{source}: found a {kind(document)}; it must map names of settings to values")
    return document
