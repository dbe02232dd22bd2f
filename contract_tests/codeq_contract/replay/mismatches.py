"""The places at which a message of a replay differs from the recorded one."""

from __future__ import annotations

from typing import TypeAlias

Mismatch: TypeAlias = tuple[str, str, str]
"""A place in a message, with its text in the recording and in the replay."""

ABSENT = "(absent)"
_EXCERPT = 40


def spelling_mismatch(theirs: str, ours: str) -> Mismatch:
    """The first place at which two texts differ."""
    shorter = min(len(theirs), len(ours))
    at = next((index for index in range(shorter) if theirs[index] != ours[index]), shorter)
    excerpt = slice(max(0, at - _EXCERPT), at + _EXCERPT)
    return (f"body, character {at}", repr(theirs[excerpt]), repr(ours[excerpt]))
