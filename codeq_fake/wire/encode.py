"""Writes JSON as Go's encoder does: compact, with HTML's special characters escaped."""

from __future__ import annotations

import re
from decimal import Decimal
from json import JSONEncoder
from typing import Any

_ENCODER = JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
_SORTING_ENCODER = JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:u(003c|003e|0026)|.)")
_RAW_HTML = {"003c": "<", "003e": ">", "0026": "&"}


def quote(text: str) -> str:
    """A string literal (R23). A lone surrogate, which stands for a byte of invalid UTF-8, is written ``\\ufffd``."""
    literal = _escape_html(_ENCODER.encode(text))
    return literal if literal.isascii() else _SURROGATE.sub(r"\\ufffd", literal)


def encode(value: Any) -> str:
    """A reply's value: dicts (keys in the order given), lists, strings, integers, booleans and None (R23)."""
    text = _escape_html(_ENCODER.encode(value))
    return text if text.isascii() else _SURROGATE.sub(r"\\ufffd", text)


def encode_sorted(value: Any) -> str:
    """As `encode`, but with the keys of every object sorted, as Go writes a map (T1).

    Floats must be ones that Python and Go write alike: see `number`.
    """
    return _escape_html(_SORTING_ENCODER.encode(value))


def number(value: float) -> str:
    """A double in Go's shortest form: an exponent only below 1e-6 and from 1e21 (T1)."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" not in text:
        return text
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(text), "f")
    return text.replace("e-0", "e-")


def unescape_html(text: str) -> str:
    """The same JSON text as Go writes it with SetEscapeHTML(false): ``<``, ``>`` and ``&`` raw (W1)."""
    return _ESCAPE.sub(_unescape, text) if r"\u00" in text else text


def _unescape(match: re.Match[str]) -> str:
    return _RAW_HTML.get(match[1], match[0])


def _escape_html(text: str) -> str:
    """Escapes what Go does and Python does not: these characters occur in JSON text only inside strings."""
    return (
        text.replace("<", r"\u003c")
        .replace(">", r"\u003e")
        .replace("&", r"\u0026")
        .replace("\u2028", r"\u2028")
        .replace("\u2029", r"\u2029")
    )
