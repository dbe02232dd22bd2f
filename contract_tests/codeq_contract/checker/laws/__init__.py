"""The laws that every history must keep, one module for each subject."""

from __future__ import annotations

from . import callbacks, deliveries, ends, holding, order, results, sizes
from .law import Law, Mark, Violation

LAWS = (*deliveries.LAWS, *holding.LAWS, *ends.LAWS, *results.LAWS, *order.LAWS, *callbacks.LAWS, *sizes.LAWS)
