"""Result callbacks and queue-ready notices: their bodies, signatures and ways, and what comes back."""

from __future__ import annotations

from codeq_fake.webhooks.composer import Composer
from codeq_fake.webhooks.guard import Guard
from codeq_fake.webhooks.messages import Hop, Outcome, Outgoing
from codeq_fake.webhooks.sender import Sender

__all__ = ["Composer", "Guard", "Hop", "Outcome", "Outgoing", "Sender"]
