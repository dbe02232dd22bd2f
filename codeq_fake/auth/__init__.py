"""Who is calling: bearer tokens judged as the server judges them (contract section 3)."""

from __future__ import annotations

from codeq_fake.auth.authenticator import Authenticator
from codeq_fake.auth.caller import Caller
from codeq_fake.auth.errors import Forbidden, Refusal, Unauthenticated
from codeq_fake.auth.identities import Identity, identities_of, read_identities
from codeq_fake.auth.keys import KeysNeeded, with_keys
from codeq_fake.auth.tokens import Tokens

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
