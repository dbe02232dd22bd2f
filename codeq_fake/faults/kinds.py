"""The kinds of faults: on what each may come, and what a rule may say about it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What every request is called, beside its operation.
REQUEST = "request"
#: What a result callback and a queue-ready notice are called (sections 11 and 12).
CALLBACK, NOTICE = "callback", "notice"
#: A result handed in by itself is called so beside ``submit``, by its status.
COMPLETE, FAIL = "complete", "fail"

_CLAIMS = frozenset({"claim", "claim_batch"})
_ENDS = frozenset({"submit", COMPLETE, FAIL, "submit_batch"})
_ON_A_TASK = _CLAIMS | _ENDS | {"heartbeat", "abandon", "nack"}
_SENT = frozenset({CALLBACK, NOTICE})
_ANY = frozenset({REQUEST})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    ``on`` is what it comes on when a rule names nothing, ``only`` all that a rule may name (every operation where
    that is empty). ``takes`` are the arguments that a rule may have.
    """

    on: frozenset[str] = _ANY
    only: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "drop_reply": Kind(),
        "refuse": Kind(takes=frozenset({"status", "body", "headers", "retry_after"})),
        "reset": Kind(),
        "delay": Kind(takes=frozenset({"seconds"})),
        "hang": Kind(),
        "garble": Kind(takes=frozenset({"how"})),
        "expire_lease": Kind(on=_CLAIMS, only=_ON_A_TASK),
        "clock_skew": Kind(on=_ANY | _SENT, takes=frozenset({"seconds"})),
        "callback_lost": Kind(on=frozenset({CALLBACK}), only=_SENT),
        "callback_twice": Kind(on=frozenset({CALLBACK}), only=_SENT),
        "callback_late": Kind(on=frozenset({CALLBACK}), only=_SENT, takes=frozenset({"seconds"})),
        "redeliver_finished": Kind(on=_ENDS, only=_ENDS),  # Z1
        "lose_task": Kind(on=_CLAIMS, only=_ON_A_TASK),  # Z2
        "revoke_lease": Kind(on=_CLAIMS, only=_ON_A_TASK),  # Z3
        "false_empty": Kind(on=_CLAIMS, only=_CLAIMS),  # Z4
    }
)

#: The kinds after which nothing is left to go wrong with a request.
FINAL = frozenset({"refuse", "reset"})
