"""The ledger: each clause of the contract, how sure it is, and where this fake differs on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def ledger(seen: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The ledger as plain JSON; ``seen`` maps (operation, refusal or "") to how often traffic has met it."""
    return {"clauses": [], "touched": sum(seen.values())}
