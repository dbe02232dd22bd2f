"""The recordings of CodeQ that the suite ships, each with the version and the store on which it was made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .files import read_recording
from .format import Recording

FOLDER = Path(__file__).parent
"""The files: VERSION/STORE/NAME.jsonl.gz."""

ORDERED_BY_ID = frozenset(
    {
        *(f"v0.3.3/{store}/{name}" for store in ("redis", "kvrocks-2.8") for name in ("admin", "delayed_many_due")),
        *(f"v0.3.3/{store}/lease_expiry_requeue_order" for store in ("redis", "kvrocks-2.8", "kvrocks-2.9")),
        *(f"v0.3.3/redis/trace_{number}" for number in (2, 4, 5, 8)),
        *(f"v0.3.3/kvrocks-2.8/trace_{number}" for number in (206, 207)),
        *(f"v0.3.3/kvrocks-2.9/trace_{number}" for number in (302, 304)),
        *(f"main/redis/{name}" for name in ("admin", "delayed_many_due", "lease_expiry_requeue_order")),
        "main/redis/head_repair_at_most_twice_a_second",
        *(f"main/pebble/{name}" for name in ("admin", "delayed_many_due", "lease_expiry_requeue_order")),
    }
)
"""The recordings in which several tasks fall due in one second. Then their ids decide, which servers draw."""

PAST_AN_EDGE = frozenset(
    {"main/redis/lease_expiry_other_phase", "main/pebble/seed_story", "main/pebble/head_dead_letter_callback"}
)
"""The recordings in which the server was so slow that a call took effect in the next second or the next interval."""

_SUFFIX = ".jsonl.gz"


def shipped_names() -> tuple[str, ...]:
    """The names of all recordings: VERSION/STORE/NAME."""
    files = sorted(FOLDER.glob(f"*/*/*{_SUFFIX}"))
    return tuple(str(file.relative_to(FOLDER).as_posix()).removesuffix(_SUFFIX) for file in files)


@cache
def shipped(name: str) -> Recording:
    """The recording VERSION/STORE/NAME."""
    return read_recording(FOLDER / f"{name}{_SUFFIX}")


def clauses_shown(name: str) -> tuple[str, ...]:
    """The clauses of the contract that the recording VERSION/STORE/NAME shows."""
    return _clauses_by_name().get(name, ())


@cache
def _clauses_by_name() -> dict[str, tuple[str, ...]]:
    written: dict[str, list[str]] = json.loads(FOLDER.joinpath("clauses.json").read_text(encoding="utf-8"))
    return {name: tuple(clauses) for name, clauses in written.items()}
