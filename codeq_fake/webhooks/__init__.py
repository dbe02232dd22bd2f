"""Result callbacks and queue-ready notices: their bodies and signatures, and how they are sent."""

from __future__ import annotations

from .composer import Composer
from .guard import Guard
from .messages import Hop, Outcome, Outgoing
from .sender import Sender

__all__ = ["Composer", "Guard", "Hop", "Outcome", "Outgoing", "Sender"]
