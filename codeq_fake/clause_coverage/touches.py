"""Which clauses a call has touched, as far as its operation and its outcome tell.

A refusal that several clauses may have caused touches them all. What depends on a field (an idempotency key, a delay),
on the settings or on time (a lease that ran out) cannot be told from an outcome: no call touches such a clause.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Table: TypeAlias = "Mapping[str, str]"

#: What each operation touches, however it ends.
_CALLED: _Table = MappingProxyType(
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

#: What each operation touches when it does its work.
_DONE: _Table = MappingProxyType(
    {
        "create": "R21 R23 B1 A9 T1 C1 C2 C4 C5 C6",
        "create_batch": "R21 R23 B1 A9 C9",
        "claim": "R21 R23 B1 A5 A9 K1 K2 K3 K4 K5 K6 K7",
        "claim_batch": "R21 R23 B1 A5 A9 K1 K2 K4 K5 K6 K7 K10",
        "heartbeat": "R21 R23 B1 A5 H1",
        "abandon": "R21 R23 B2 A5 D1",
        "nack": "R21 R23 B1 A5 N2 N3",
        "submit": "R21 R23 B1 A5 T1 T2 S1 S2 S4",
        "submit_batch": "R21 R23 B1 A5 S6",
        "subscribe": "R21 R23 B1 A5 U1",
        "renew": "R21 R23 B2 A5 U2",
        "get": "R21 R23 A7 S8",
        "result": "R21 R23 A7 S7",
        "queues": "R21 R23 A8 M1",
        "queue": "R21 R23 A8 A9 M2",
        "cleanup": "R21 R23 B2 A8 M3",
        "metrics": "L2",
    }
)

#: What each refusal touches on any route.
_REFUSED: _Table = MappingProxyType(
    {
        "Unauthenticated": "B3 A1 A2 A3 A4",
        "Forbidden": "B3 A5",
        "RateLimited": "B3 L1",
        "BadBody": "B1 B2 B3",
        "BodyTooLarge": "B2",
        "InvalidCommand": "C2",
        "InvalidWebhook": "C3",
        "InvalidRunAt": "C6",
        "InvalidDelay": "C6",
        "EventTypeNotAllowed": "K1",
        "WorkerRequired": "A9",
        "ArtifactUndecodable": "S1 S5",
        "ResultRequired": "S1",
        "ErrorRequired": "S1",
        "InvalidStatus": "S1",
        "ResultNotFound": "S7",
        "SubscriptionNotFound": "U2",
        "InvalidCallbackUrl": "U1",
        "InvalidDeliveryMode": "U1",
        "GroupRequired": "U1",
    }
)

#: As whose refusal a fault is told.
FAULT = "fault"

#: What is touched when a fault rule lets one of the real server's races happen.
_RACES: _Table = MappingProxyType(
    {"redeliver_finished": "Z1", "lose_task": "Z2", "revoke_lease": "Z3", "false_empty": "Z4"}
)

_WORKER = MappingProxyType({"Unauthenticated": "A5"})
_READER = MappingProxyType({"Unauthenticated": "A7"})
_ADMIN = MappingProxyType({"Unauthenticated": "A8"})

#: What a refusal touches beside that on the route of one operation.
_REFUSED_BY: Mapping[str, _Table] = MappingProxyType(
    {
        "create_batch": {"BadBody": "C9", "BadRequest": "C9"},
        "claim": _WORKER,
        "claim_batch": _WORKER | {"BadBody": "K10", "BadRequest": "K10"},
        "heartbeat": _WORKER | {"BadBody": "H4", "TaskNotFound": "H2", "NotOwner": "H2"},
        "abandon": _WORKER | {"TaskNotFound": "D2", "NotOwner": "D2"},
        "nack": _WORKER | {"TaskNotFound": "N1", "NotOwner": "N1", "NotInProgress": "N1"},
        "submit": _WORKER | {"TaskNotFound": "S1", "NotOwner": "S1", "NotInProgress": "S1"},
        "submit_batch": _WORKER | {"BadBody": "S6", "BadRequest": "S6"},
        "subscribe": _WORKER | {"BadBody": "U1"},
        "renew": _WORKER,
        "get": _READER | {"TaskNotFound": "S8"},
        "result": _READER | {"TaskNotFound": "S7"},
        "queues": _ADMIN,
        "queue": _ADMIN,
        "cleanup": _ADMIN | {"BadRequest": "M3"},
    }
)

_ANY_CALL = "R20"
_ANY_REFUSAL = "R21 R22"


def touched_by(operation: str, refusal: str) -> frozenset[str]:
    """The ids of the clauses that a call of ``operation`` touches; ``refusal`` is the name of its class, or empty.

    A fault that came on a call is told apart from it: as :data:`FAULT`, refused by the fault's kind.
    """
    if operation == FAULT:
        return frozenset(_RACES.get(refusal, "").split())
    return frozenset(_touched(operation, refusal))


def touchable() -> frozenset[str]:
    """The ids of all clauses that some call can touch."""
    by_operation = (ids for table in _REFUSED_BY.values() for ids in table.values())
    alike = (ids for table in (_CALLED, _DONE, _REFUSED, _RACES) for ids in table.values())
    everywhere = (_ANY_CALL, _ANY_REFUSAL, *alike, *by_operation)
    return frozenset(" ".join(everywhere).split())


def _touched(operation: str, refusal: str) -> Iterator[str]:
    yield from _ANY_CALL.split()
    yield from _CALLED.get(operation, "").split()
    if not refusal:
        yield from _DONE.get(operation, "").split()
        return
    yield from _ANY_REFUSAL.split()
    yield from _REFUSED.get(refusal, "").split()
    yield from _REFUSED_BY.get(operation, {}).get(refusal, "").split()
