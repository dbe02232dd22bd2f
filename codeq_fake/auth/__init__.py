"""Authentication of bearer tokens, with the server's rules (A1 to A9)."""

from __future__ import annotations

from .authenticator import Authenticator
from .caller import Caller, Forbidden, Refusal, Unauthenticated
from .identities import Identity, Tokens, identities_of, read_identities
from .jwks import KeysNeeded, fetch_url, with_keys
