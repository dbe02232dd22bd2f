"""Who is calling: bearer tokens judged as the server judges them (contract section 3)."""

from __future__ import annotations

from .authenticator import Authenticator
from .caller import Caller
from .errors import Forbidden, Refusal, Unauthenticated
from .identities import Identity, identities_of, read_identities
from .keys import KeysNeeded, with_keys
from .tokens import Tokens

__all__ = [
    "Authenticator",
    "Caller",
    "Forbidden",
    "Identity",
    "KeysNeeded",
    "Refusal",
    "Tokens",
    "Unauthenticated",
    "identities_of",
    "read_identities",
    "with_keys",
]
