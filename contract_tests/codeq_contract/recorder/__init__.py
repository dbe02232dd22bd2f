"""Records what clients and a server say to each other."""

from __future__ import annotations

from codeq_contract.recorder.tape import Tape

__all__ = ["Tape"]
