"""Result callbacks and queue-ready notices: their bodies, signatures and ways, and what comes back."""

from __future__ import annotations

from .composer import Composer
from .guard import Guard
from .messages import Hop, Outcome, Outgoing
from .sender import Sender

__all__ = ["Composer", "Guard", "Hop", "Outcome", "Outgoing", "Sender"]
