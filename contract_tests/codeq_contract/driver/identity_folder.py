"""A folder with an identity provider for a deployment: keys, tokens, and the settings of a server that accepts them.

All files are readable by their owner alone, except the public keys.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codeq_contract.recordings.format import UNREADABLE, Identity

from .identities import DAY, WORKER_SCOPES, Signer, callers, static_settings

#: The authentication providers of the server (A3, A4).
PROVIDERS = ("jwks", "static")

_OWNER_ONLY, _PUBLIC = 0o600, 0o644
_QUOTE_IN_JSON = r"\u0027"


class IdentityFolderError(Exception):
    """The folder cannot be used. The text says why."""


@dataclass(frozen=True, slots=True)
class IdentityFolder:
    """The files in the folder `path`."""

    path: Path

    @property
    def settings(self) -> Path:
        """The settings of a server that accepts the tokens, as environment variables."""
        return self.path / "server.env"

    @property
    def tokens_file(self) -> Path:
        """The tokens, by caller."""
        return self.path / "tokens.json"

    @property
    def public_keys(self) -> Path:
        """The JWKS document."""
        return self.path / "jwks.json"

    @property
    def _private_keys(self) -> Path:
        return self.path / "keys.json"

    def mint_signed(self, *, tenant: str, jwks_url: str, now: int, days: int) -> None:
        """Write signed tokens for all callers, valid for some `days` from second `now`.

        The keys stay those of an earlier call, so that a server that knows them accepts the new tokens.
        """
        self._make()
        signer = self._signer()
        tokens = {
            name: signer.token(_lasting(identity, now + days * DAY), issued=now)
            for name, identity in callers(tenant).items()
        }
        _write(self.public_keys, _json(signer.jwks()), _PUBLIC)
        _write(self.tokens_file, _json(tokens))
        _write(self.settings, _variables(signer.settings(jwks_url)))

    def mint_static(self, *, tenant: str) -> None:
        """Write the two tokens of a server with static ones. Its producer is its admin too (A8)."""
        self._make()
        producer, worker = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        known = {
            "producer": {"token": producer, "subject": "producer-1", "raw": {"tenantId": tenant, "role": "ADMIN"}},
            "worker": {
                "token": worker,
                "subject": "worker-1",
                "scopes": WORKER_SCOPES.split(),
                "eventTypes": ["*"],
                "raw": {"tenantId": tenant},
            },
        }
        _write(self.tokens_file, _json({"producer": producer, "worker": worker, "admin": producer}))
        _write(self.settings, _variables(static_settings(known)))

    def tokens(self) -> Mapping[str, str]:
        """The tokens, by caller. Raises IdentityFolderError."""
        tokens = _read(self.tokens_file)
        return {name: str(token) for name, token in tokens.items()}

    def jwks(self) -> Mapping[str, object]:
        """The public keys. Raises IdentityFolderError."""
        return _read(self.public_keys)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _signer(self) -> Signer:
        """The keys of an earlier call, or new ones."""
        if not self._private_keys.exists():
            signer = Signer()
            _write(self._private_keys, _json(signer.private_keys()))
            return signer
        try:
            return Signer.of(_read(self._private_keys))
        except ValueError as error:
            raise IdentityFolderError(f"{self._private_keys}: {error}; remove it for new keys") from None


def _lasting(identity: Identity, expiry: int) -> Identity:
    return Identity(identity.kind, {**identity.claims, "exp": expiry})


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _variables(settings: Mapping[str, str]) -> str:
    """Lines that a shell, compose and `codeq-fake` read alike. Within single quotes nothing has a meaning."""
    values = {name: value.replace("'", _QUOTE_IN_JSON) for name, value in settings.items()}
    return "".join(f"{name}='{value}'\n" for name, value in values.items())


def write_new(file: Path, text: str, mode: int = _OWNER_ONLY) -> None:
    """Write a new file. No one else can read a secret one at any moment. Raises OSError if there is one."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as output:
        output.write(text)


def _write(file: Path, text: str, mode: int = _OWNER_ONLY) -> None:
    """Write a file completely or not at all."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    write_new(new, text, mode)
    new.replace(file)


def _read(file: Path) -> Mapping[str, object]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise IdentityFolderError(f"{file}: {error.strerror}; `codeq-contract identities mint` writes it") from None
    except UNREADABLE as error:
        raise IdentityFolderError(f"{file}: {error}") from None
    if not isinstance(document, dict):
        raise IdentityFolderError(f"{file}: it must be a mapping")
    return document
