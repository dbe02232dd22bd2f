"""The authentication settings of each side, producers and workers (A3, A4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from codeq_fake.documents import BadDocumentError, read_json

from .readers import MAX_INT, SettingsError, kind, text
from .sources import Sources

#: The scopes of the worker routes (R3 to R11).
WORKER_SCOPES = (
    "codeq:claim",
    "codeq:heartbeat",
    "codeq:abandon",
    "codeq:nack",
    "codeq:result",
    "codeq:subscribe",
)
#: The scope of the admin routes (A8).
ADMIN_SCOPE = "codeq:admin"

_NANOSECONDS = 1_000_000_000
_FEWEST_PROVIDERS, _MOST_PROVIDERS = 2, 4
_TYPES = {str: "a text", list: "a list of texts", dict: "an object", int: "a number of nanoseconds"}


class StaticAuth(NamedTuple):
    """Authentication by one fixed token (A3). Tenant and role come from the claims in `raw`."""

    token: str
    subject: str = "static"
    scopes: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    raw: Mapping[str, object] = MappingProxyType({})


class JwksAuth(NamedTuple):
    """Authentication by JWTs that are signed with a key of a JWKS document (A4).

    `url` is http(s), as for the real server. Only the fake also accepts a `file://` URL, or the document itself as
    `jwks` without `url`. `timeout` is in seconds. The real server's `clockSkew` is not kept, since it has no effect
    (A4: no leeway for `exp`).
    """

    url: str
    issuer: str
    audience: str
    timeout: float = 5.0
    jwks: Mapping[str, object] | None = None

    @property
    def is_file(self) -> bool:
        """Whether the keys are read from a file."""
        return self.jwks is None and urlsplit(self.url).scheme == "file"


class MultiAuth(NamedTuple):
    """Authentication by several providers, on versions that have that (G8)."""

    providers: tuple[StaticAuth | JwksAuth, ...]


Auth: TypeAlias = StaticAuth | JwksAuth | MultiAuth


def dev_auth(subject: str) -> StaticAuth:
    """The default of the fake: one token with all rights, in one tenant."""
    raw = MappingProxyType({"tenantId": "dev", "role": "ADMIN"})
    return StaticAuth("dev-token", subject, (*WORKER_SCOPES, ADMIN_SCOPE), ("*",), raw)


def read_auth(sources: Sources) -> dict[str, Any]:
    """The authentication fields of `Settings`; none if no authentication is set. Raises SettingsError."""
    producer, worker = _read_side("producer", sources), _read_side("worker", sources)
    if producer is None and worker is None:
        return {}
    if producer is None or worker is None:
        name = "PRODUCER_AUTH_CONFIG" if producer is None else "WORKER_AUTH_CONFIG"
        raise SettingsError(f"{name}: not set, but the other side's is; set both, or neither for the token dev-token")
    return {"producer_auth": producer, "worker_auth": worker, "auth_given": True}


def _read_side(side: str, sources: Sources) -> Auth | None:
    """The authentication of one side, or None if it is not set. Raises SettingsError."""
    provider_source, provider = sources.find(f"{side}_auth_provider")
    source, config = sources.find(f"{side}_auth_config")
    if provider is None and config is None:
        return None
    if provider not in (None, "jwks", "static", "multi"):
        raise SettingsError(f"{provider_source}: found {provider!r}; it must be jwks, static or, on main, multi")
    if config is None:
        raise SettingsError(f"{side.upper()}_AUTH_CONFIG: not set, but {provider_source} is; give the provider's JSON")
    try:
        value = read_json(text(source, config))
    except BadDocumentError as error:
        raise SettingsError(f"{source}: no valid JSON ({error}); give one JSON object") from None
    return _multi(source, value) if provider == "multi" else _single(source, provider, value)


def _single(source: str, provider: object, value: object) -> StaticAuth | JwksAuth:
    return _static(source, value) if provider == "static" else _jwks(source, value)


def _multi(source: str, value: object) -> MultiAuth:
    """The settings of the provider `multi` (G8)."""
    parts = _member(source, _object(source, value), "providers", list)
    if not _FEWEST_PROVIDERS <= len(parts) <= _MOST_PROVIDERS:
        raise SettingsError(
            f"{source}: found {len(parts)} providers; there must be {_FEWEST_PROVIDERS} to {_MOST_PROVIDERS}"
        )
    providers: list[StaticAuth | JwksAuth] = []
    for number, part in enumerate(parts, start=1):
        place = f"{source}, provider {number}"
        config = _object(place, part)
        if config.get("type") not in ("jwks", "static"):
            raise SettingsError(f"{place}: found type {config.get('type')!r}; it must be jwks or static")
        providers.append(_single(place, config["type"], config.get("config")))
    return MultiAuth(tuple(providers))


def _static(source: str, value: object) -> StaticAuth:
    """The settings of the provider `static` (A3)."""
    config = {"token": value} if isinstance(value, str) else _object(source, value)
    token = _member(source, config, "token", str).strip()
    if not token:
        raise SettingsError(f"{source}: no token; give a JSON string, or an object with a token")
    return StaticAuth(
        token=token,
        subject=_member(source, config, "subject", str).strip() or "static",
        scopes=_texts(source, config, "scopes"),
        event_types=_texts(source, config, "eventTypes"),
        raw=MappingProxyType(_member(source, config, "raw", dict)),
    )


def _jwks(source: str, value: object) -> JwksAuth:
    """The settings of the provider `jwks` (A4)."""
    config = _object(source, value)
    url = _member(source, config, "jwksUrl", str)
    document = _member(source, config, "jwks", dict) if config.get("jwks") is not None else None
    if document is None and not _can_be_fetched(url):
        raise SettingsError(f"{source}: found jwksUrl {url!r}; it must be an http://, https:// or file:// URL")
    issuer, audience = (_member(source, config, name, str) for name in ("issuer", "audience"))
    for name, wanted in (("issuer", issuer), ("audience", audience)):
        if not wanted:
            raise SettingsError(f"{source}: no {name}; it must be the {name} that tokens of this side have")
    return JwksAuth(url, issuer, audience, _timeout(source, config), document)


def _timeout(source: str, config: Mapping[str, Any]) -> float:
    """How many seconds a fetch of keys may take."""
    seconds = _member(source, config, "httpTimeout", int) / _NANOSECONDS
    return seconds if seconds > 0 else 5.0


def _can_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "file" or (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        )
    except ValueError:
        return False


def _object(source: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{source}: found a {kind(value)}; it must be a JSON object")
    return value


def _member(source: str, config: Mapping[str, Any], name: str, wanted: type) -> Any:  # noqa: ANN401 - of type `wanted`
    """A member of a JSON object; an empty value of its type if it is missing. Raises SettingsError."""
    value = config.get(name)
    if value is None:
        return wanted()
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise SettingsError(f"{source}: found a {kind(value)} for {name}; it must be {_TYPES[wanted]}")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise SettingsError(f"{source}: found {value} for {name}; it must be {_TYPES[wanted]} of at most 64 bits")
    return value


def _texts(source: str, config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _member(source, config, name, list)
    for value in values:
        if not isinstance(value, str):
            raise SettingsError(f"{source}: found a {kind(value)} in {name}; it must be a list of texts")
    return tuple(values)
