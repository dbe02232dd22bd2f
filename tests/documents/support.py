"""Texts that readers of documents have to survive: syntax, extreme values, and broken copies of good documents."""

from __future__ import annotations

from hypothesis import strategies as st

#: Pieces that have broken a reader of YAML, of JSON, or what comes after it.
PIECES = (
    *"[]{}:,-?&*!|>'\"%@#\n\t\\\x00 ",
    "[" * 3000,
    "{a: " * 3000,
    "- " * 300,
    "9" * 5000,
    "9" * 400,
    "1e999",
    "-1e-999",
    "1:1:1.5",
    "1:" * 500 + "1.5",
    ".nan",
    ".inf",
    "NaN",
    "Infinity",
    "null",
    "true",
    "on",
    "2001-99-99",
    "2026-01-31T12:00:00Z",
    '"\\ud800"',
    '"\\udc00": 1',
    "\ud800",
    "\U0001f600",
    "\ufeff",
    "\u202e",
    "!!int x",
    "!!int ''",
    "!!float ''",
    "!!bool x",
    "!!timestamp x",
    "!!binary x",
    "!!set {a}",
    "!!omap [a: 1]",
    "!!python/object/apply:os.getcwd []",
    "!x",
    "<<: 1",
    "<<: *a",
    "? [a]",
    "&a [*a]",
    "&a",
    "*a",
    "--- ",
    "...",
    "0x_",
    "0b",
    "a\x1b[31m",
    str(2**63),
    str(-(2**63) - 1),
)

pieces = st.sampled_from(PIECES)


def broken(good: str) -> st.SearchStrategy[str]:
    """A copy of a good document, of which a part is replaced by pieces; or pieces alone."""
    cut = st.integers(0, len(good))
    several = st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=4).map("".join)
    copies = st.builds(lambda a, b, new: good[: min(a, b)] + new + good[max(a, b) :], cut, cut, several)
    values = st.builds(_with_value, st.just(good), st.integers(0, good.count(": ") - 1), pieces)
    return st.one_of(copies, values, several)


def _with_value(good: str, number: int, new: str) -> str:
    """The document with another value after its colon `number`."""
    parts = good.split(": ")
    old = parts[number + 1]
    end = min((at for at in map(old.find, ",}]\n") if at >= 0), default=len(old))
    parts[number + 1] = new + old[end:]
    return ": ".join(parts)
