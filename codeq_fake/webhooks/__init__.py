"""Result callbacks and queue-ready notices: their bodies and signatures, and how they are sent."""

from __future__ import annotations

from .composer import Composer
from .exchange import BlockedError, Hop, Outcome, Outgoing
from .guard import Guard
from .sender import Sender
