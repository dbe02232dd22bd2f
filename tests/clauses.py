"""The clause of the contract that has each operation of the fake, by the operation's name."""

from __future__ import annotations

from types import MappingProxyType

CLAUSE_OF = MappingProxyType(
    {
        "create": "R1",
        "create_batch": "R2",
        "claim": "R3",
        "claim_batch": "R4",
        "heartbeat": "R5",
        "abandon": "R6",
        "nack": "R7",
        "submit": "R8",
        "submit_batch": "R9",
        "subscribe": "R10",
        "renew": "R11",
        "get": "R12",
        "result": "R13",
        "queues": "R14",
        "queue": "R15",
        "cleanup": "R16",
        "metrics": "R17",
    }
)
