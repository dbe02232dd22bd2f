"""JWTs, parsed as the server's library does: the same checks in the same order, with the same texts (A4).

`jwks` checks the signature, and `claims` issuer, audience and times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from codeq_fake.wire import IllegalBase64, decode_base64url, quote_byte

from .caller import Unauthenticated

#: The algorithms that are accepted with the keys of a JWKS document (A4).
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")

#: The longest token, in bytes: reading one of a whole head (1 MiB) would hold up all others.
LONGEST = 64 * 1024

_OTHER_ALGORITHMS = frozenset(
    ["none", "HS256", "HS384", "HS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"],
)
_SEGMENTS = 3
_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_STARTS = b'{["-0123456789tfn'


class Jwt(NamedTuple):
    """A parsed token whose signature is not checked yet. `signature` is that of the bytes `signed`."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The algorithm in the header (`alg`)."""
        return str(self.header["alg"])

    def key_id(self) -> str:
        """The id of the key that signed the token (`kid`). Raises Unauthenticated."""
        if self.algorithm not in RSA_ALGORITHMS:
            raise unverifiable(f"unexpected signing method: {self.algorithm}")
        key_id = self.header.get("kid")
        if not isinstance(key_id, str) or not key_id:
            raise unverifiable("missing kid in token header")
        return key_id


def check_length(token: str) -> None:
    """Raise Unauthenticated for a token that is too long to read."""
    if len(token) > LONGEST:
        raise _malformed(f"token has more than {LONGEST} bytes")


def parse(token: str) -> Jwt:
    """Parse the segments, then header, claims, algorithm and signature. Raises Unauthenticated.

    The caller has checked the length (`check_length`).
    """
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        raise _malformed("token contains an invalid number of segments")
    header_text, claims_text, signature_text = segments
    header = _read_object(_decode(header_text, "header"), "header", "map[string]interface {}")
    claims = _read_object(_decode(claims_text, "claim"), "claim", "jwt.MapClaims")
    check_algorithm(header)
    signature = _decode(signature_text, "signature")
    return Jwt(header, claims, f"{header_text}.{claims_text}".encode(), signature)


def check_algorithm(header: Mapping[str, object]) -> None:
    """Raise Unauthenticated unless `alg` is an existing algorithm."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Unauthenticated("token is unverifiable: signing method (alg) is unspecified")
    if algorithm not in RSA_ALGORITHMS and algorithm not in _OTHER_ALGORITHMS:
        raise Unauthenticated("token is unverifiable: signing method (alg) is unavailable")


def unverifiable(reason: str) -> Unauthenticated:
    """The refusal of a token for which there is no key."""
    return Unauthenticated(f"token is unverifiable: error while executing keyfunc: {reason}")


def _malformed(reason: str) -> Unauthenticated:
    return Unauthenticated(f"token is malformed: {reason}")


def _decode(segment: str, part: str) -> bytes:
    try:
        return decode_base64url(segment)
    except IllegalBase64 as error:
        raise _malformed(f"could not base64 decode {part}: {error}") from None


def _read_object(data: bytes, part: str, target: str) -> dict[str, object]:
    """The JSON object in a part of a token. `target` is the Go type that errors name."""
    text = data.decode(errors="replace")
    try:
        value = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number)
        if r"\u" in text:
            # Go replaces half of a surrogate pair with U+FFFD.
            value = json.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        raise _malformed(f"could not JSON decode {part}: {_json_complaint(data)}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        kind = {str: "string", list: "array", bool: "bool"}.get(type(value), "number")
        raise _malformed(f"could not JSON decode {part}: json: cannot unmarshal {kind} into Go value of type {target}")
    return value


def _number(literal: str) -> float:
    """A number as Go reads it without a type: a double. Raises ValueError for one beyond a double's range."""
    number = float(literal)
    if not isfinite(number):
        raise ValueError(literal)
    return number


def _json_complaint(data: bytes) -> str:
    """Go's message for bytes that are not JSON. It is exact only if they do not even begin like JSON."""
    start = data.lstrip(b" \t\r\n")[:1]
    if start in _JSON_STARTS:  # as an empty one is
        return "unexpected end of JSON input"
    return f"invalid character {quote_byte(start[0])} looking for beginning of value"
