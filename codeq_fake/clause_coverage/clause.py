"""What the ledger says of one clause of the contract, and of the section that it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: Seen on a running server, or in part only read in its source.
Certainty: TypeAlias = Literal["observed", "source"]
#: Whether this fake does the same, or something else on purpose.
Ours: TypeAlias = Literal["exact", "differs"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause.

    ``recordings`` names the sessions with the real server that show it, as files in ``tests/recordings`` are named; a
    ``*`` stands for any text. ``note`` says where we differ, what is certain only from the source, or what no recording
    has shown.
    """

    id: str
    says: str
    recordings: tuple[str, ...] = ()
    certainty: Certainty = "observed"
    ours: Ours = "exact"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The clauses of one section of the contract, in its order."""

    about: str
    clauses: tuple[Clause, ...]
