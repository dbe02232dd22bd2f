"""Records the traffic between clients and a server."""

from __future__ import annotations

from .tape import Tape
