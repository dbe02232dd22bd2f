"""Hypothesis strategies for bad requests: garbage, JSON that is almost right, valid requests with a mistake."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Values that are wrong for some field or for all.
ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    "",
    " ",
    "\0",
    "\ud800",
    "*",
    "é\u2028<&>",
    "9999-12-31T23:59:59.999999999Z",
    "0000-01-01T00:00:00+24:00",
    "http://[::1%25x]:99999/",
    "../../../x",
    [],
    {},
    [None],
    [{}],
    {"": {"": []}},
]

#: Each is its own copy: who changes it changes no later draw.
values = st.sampled_from(ODD_VALUES).map(deepcopy) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=5,
)


@st.composite
def changed_values(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """A valid body in which values, at any depth, are replaced, missing or renamed."""
    body = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 2))):
        part: Any = body
        while True:
            keys: Sequence[Any] = list(part) if isinstance(part, dict) else range(len(part))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(part[key], dict | list) and part[key] and draw(st.booleans()):
                part = part[key]
                continue
            change = draw(st.sampled_from(["other value", "other name", "gone"]))
            old = part[key] if change == "other value" else part.pop(key)
            if change == "other value":
                part[key] = draw(values)
            elif change == "other name" and isinstance(part, dict):
                part[draw(st.text(max_size=5)) or key.upper()] = old
            break
    return json.dumps(body).encode()


@st.composite
def changed_bytes(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """The text of a valid body with bytes cut, overwritten or inserted."""
    text = bytearray(json.dumps(good).encode())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 4)))
        text[start:end] = draw(st.sampled_from([b"", b",", b"{", b"]", b'"', b"\\", b"\xff", b"\0", b"1e999", b"null"]))
    return bytes(text)


def bodies(good: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Garbage, bodies similar to `good`, and `good` itself."""
    return st.one_of(
        st.just(json.dumps(good).encode()),
        st.sampled_from([b"", b"null", b"[]", b"{", b"\xef\xbb\xbf{}", b'"', b"{}{}", b"[" * 20_000]),
        st.binary(max_size=100),
        changed_values(good),
        changed_bytes(good),
    )


_tokens = st.binary(max_size=20).filter(lambda token: b"\0" not in token)
_odd_headers = st.tuples(
    st.sampled_from(
        [
            b"accept-encoding",
            b"authorization",
            b"content-length",
            b"content-type",
            b"traceparent",
            b"tracestate",
            b"transfer-encoding",
            b"x-request-id",
            b"x-role",
            b"cookie",
            b"host",
            b"origin",
        ]
    ),
    st.sampled_from([b"", b"gzip", b"chunked", b"-1", b"Bearer", b"Bearer  ", b"\xe9\xff", b"ADMIN", b"00-a-b-c"])
    | _tokens,
)


def headers(right: str, others: Sequence[str] = ()) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    """Headers with the right token, or rarely another or none, and odd headers before and after it."""
    tokens = [right] * (2 + len(others)) + list(others)
    bearer = st.sampled_from([[(b"authorization", b"Bearer " + token.encode())] for token in tokens] + [[]])
    odd = st.lists(_odd_headers, max_size=1)
    return st.builds(lambda before, token, behind: [*before, *token, *behind], odd, bearer, odd)
