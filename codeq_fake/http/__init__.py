"""The 17 routes of the contract: decode, call the core, encode. No rule about tasks lives here."""

from __future__ import annotations

from .app import surface
from .operations import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation", "surface"]
