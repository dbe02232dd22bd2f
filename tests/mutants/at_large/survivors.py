"""Survivors: the changes that no case of the contract suite notices, each with its reason, in `survivors/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.mutants.at_large.changes import Change

_FOLDER = Path(__file__).with_name("survivors")

#: Why a change may survive, in a sentence each.
REASONS: dict[str, str] = tomllib.loads((_FOLDER / "reasons.toml").read_text(encoding="utf-8"))


@cache
def listed() -> dict[str, str]:
    """The reasons by what survives: a file, a function or constant in it (`core/queue.py Queue.put`), or a change."""
    files = sorted(set(_FOLDER.glob("*.toml")) - {_FOLDER / "reasons.toml"})
    documents = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    return {entry: reason for document in documents for reason, entries in document.items() for entry in entries}


def reason_of(change: Change) -> str:
    """Why this change may survive, or an empty text if a case must notice it."""
    return next((listed()[name] for name in names(change) if name in listed()), "")


def names(change: Change) -> Iterator[str]:
    """What may be listed for a change: itself, what it raises, its constant, the functions around it, and its file."""
    yield change.name
    if change.raised:
        yield f"raise {change.raised}"
    if change.constant:
        yield f"{change.file} {change.constant}"
    scope = change.scope
    while scope:
        yield f"{change.file} {scope}"
        scope = scope.rpartition(".")[0]
    yield change.file
