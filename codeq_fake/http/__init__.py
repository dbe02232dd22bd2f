"""The 17 routes of the contract: decode, call the core, encode. No rule about tasks lives here."""

from __future__ import annotations

from .operations import OPERATIONS, Operation
from .routes import surface

__all__ = ["OPERATIONS", "Operation", "surface"]
