"""The laws that a history is held to, one module for each subject."""

from __future__ import annotations

from codeq_contract.checker.laws import callbacks, deliveries, ends, holding, order, timing
from codeq_contract.checker.laws.law import Breach, Law, Mark

__all__ = ["LAWS", "Breach", "Law", "Mark"]

LAWS = (*deliveries.LAWS, *holding.LAWS, *ends.LAWS, *order.LAWS, *timing.LAWS, *callbacks.LAWS)
