"""Writes JSON as Go's encoder does: replies, and scanned JSON as compact text (T1). HTML characters are escaped."""

from __future__ import annotations

import json.encoder
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from json import JSONEncoder
from json.encoder import encode_basestring
from math import isinf
from operator import itemgetter
from typing import Any, TypeAlias

from .scanner import Members, Number, Value
from .schema import BadBody

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

_PLAIN_FROM, _PLAIN_BELOW = 1e-6, 1e21  # between them a double is written without an exponent
_SURROGATE = re.compile("[\ud800-\udfff]")
# What callbacks write differently from replies. A backslash in a string is no part of it.
_ESCAPE = re.compile(r"\\(?:(u003c|u003e|u0026|u2028|u2029|b|f)|\\)")
_IN_CALLBACKS = {
    "u003c": "<",
    "u003e": ">",
    "u0026": "&",
    "u2028": "\u2028",
    "u2029": "\u2029",
    "b": r"\u0008",
    "f": r"\u000c",
}
_STRING_OR_MINUS_ZERO = re.compile(r'("(?:[^"\\]|\\.)*")|-0(?=[,\]}])')
_GO_ESCAPES = {
    '"': r"\"",
    "\\": r"\\",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}


def quote(text: str) -> str:
    r"""A string literal (R23). A lone surrogate, which stands for a byte of invalid UTF-8, is written `\ufffd`."""
    return escaped(encode_basestring(text))


def go_quote(text: str) -> str:
    """A string literal as in Go's source. So Go's error texts name what they are about (`%q`)."""
    return f'"{"".join(map(_go_escaped, text))}"'


def quote_byte(byte: int) -> str:
    """A byte in single quotes, as Go's JSON decoder names one that cannot be there."""
    char = chr(byte)
    if char == '"':
        return "'\"'"
    return r"'\''" if char == "'" else f"'{_go_escaped(char)}'"


def _go_escaped(char: str) -> str:
    if char in _GO_ESCAPES:
        return _GO_ESCAPES[char]
    if char.isprintable():
        return char
    if char.isascii():
        return f"\\x{ord(char):02x}"
    return f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}"


#: A string literal for a text that is passed to `escaped` as a whole, which costs less than to escape each literal.
literal = encode_basestring


def encode(value: Json) -> str:
    """The text of a reply, with keys in the given order: dicts, lists, strings, integers, booleans and None (R23)."""
    return escaped(_encode(value))


def encode_sorted(value: Json) -> str:
    """As `encode`, but with sorted names, as Go writes a map (T1). Raises ValueError for an infinite float.

    The value has no lone surrogates, and only floats that Python writes as Go does (see `double`).
    """
    return _escape(_encode_sorted(value))


def double(value: float) -> str:
    """A finite double in Go's shortest form: with an exponent only below 1e-6 and from 1e21 on (T1).

    `decoder._float` must agree: it keeps a literal as a float only where `repr` writes it as this does.
    """
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" not in text:
        return text
    if _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return format(Decimal(text), "f")
    return text.replace("e-0", "e-")


def callback_text(text: str) -> str:
    """JSON text of a reply as callbacks and notices have it, which the server writes with another library (W1, U4)."""
    return _ESCAPE.sub(lambda match: _IN_CALLBACKS.get(match[1], match[0]), text) if "\\" in text else text


def read_back(text: str) -> str:
    """Compact JSON text as it comes back from the server's store, where -0 has become 0 (S7)."""
    if not any(part in text for part in (":-0", ",-0", "[-0")):
        return text
    return _STRING_OR_MINUS_ZERO.sub(lambda match: match[1] or "0", text)


def escaped(text: str) -> str:
    """JSON text with what Go escapes in its strings (R23)."""
    text = _escape(text)
    return text if text.isascii() else _SURROGATE.sub(r"\\ufffd", text)


def _escape(text: str) -> str:
    """Escape what only Go escapes. In JSON text these characters occur only inside strings."""
    text = text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    return text if text.isascii() else text.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")


def make_encoder(*, sort_keys: bool) -> Callable[[Json], str]:
    """One encoder for all calls. JSONEncoder creates one for each call, which takes longer than a small value."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return JSONEncoder(
            ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":")
        ).encode
    parts = make(None, None, encode_basestring, None, ":", ",", sort_keys, False, False)  # noqa: FBT003 - C
    return lambda value: "".join(parts(value, 0))


_encode = make_encoder(sort_keys=False)
_encode_sorted = make_encoder(sort_keys=True)


def t1_text(value: Value) -> str:
    """Compact text with sorted names, numbers as doubles, and the last value of a repeated name (T1).

    `check_doubles` has been called on the value. Open containers are on an explicit stack, since values can be deep.
    """
    written: list[str] = []
    open_parts = [_items([value])]
    endings = [""]
    while open_parts:
        for prefix, part in open_parts[-1]:
            written.append(prefix)
            if isinstance(part, Members):
                written.append("{")
                open_parts.append(_members(part))
                endings.append("}")
                break
            if isinstance(part, list):
                written.append("[")
                open_parts.append(_items(part))
                endings.append("]")
                break
            written.append(_scalar(part))
        else:
            open_parts.pop()
            written.append(endings.pop())
    return "".join(written)


def check_doubles(value: Value) -> None:
    """Raise BadBody for a number beyond a double's range, also if a repeated name hides it (B1)."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Members):
            pending.extend(member for _, member in part.pairs)
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, Number) and isinf(float(part.literal)):
            raise BadBody


def _items(items: list[Value]) -> Iterator[tuple[str, Value]]:
    for index, item in enumerate(items):
        yield "," if index else "", item


def _members(members: Members) -> Iterator[tuple[str, Value]]:
    for index, (name, member) in enumerate(sorted(dict(members.pairs).items(), key=itemgetter(0))):
        yield f"{',' if index else ''}{quote(name)}:", member


def _scalar(value: str | Number | bool | None) -> str:  # noqa: FBT001 - a JSON value, no flag
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Number):
        return double(float(value.literal))
    if value is None:
        return "null"
    return "true" if value else "false"
