"""Surprises: what a client does as upstream's documents say, and what the real server makes of it (section 17).

Each is told once, and only where a request shows it: that somebody waits for FAILED to be retried, no request says.
"""

from __future__ import annotations

from .surprise import CodeQSurprise, Surprise
from .watch import Watch

__all__ = ["CodeQSurprise", "Surprise", "Watch"]
