"""A look at somebody's deployment before anything is done to it: who answers, and whether it takes the tokens."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from codeq_contract.driver.requests import Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.driver.interface import Driver

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

#: No JSON: whoever may call is told so (B3), and nothing happens.
_NO_BODY = b"{"


def obstacles(driver: Driver) -> Iterator[str]:
    """What keeps the suite from working there: no answer, or tokens that are refused."""
    there = driver.call(Op("GET", "/metrics"))
    if not there.status:
        yield f"no server answers: {there.problem}"
        return
    # What a server of our own may limit (L1) is for its case; reading is never limited.
    ours = driver.issuer is not None
    for name in driver.tokens:
        reply = driver.call(Op("GET", "/v1/codeq/tasks/none", name) if ours else _harmless(name))
        if reply.status in _REFUSED:
            yield f"the token of {name} is refused: {reply.status} {reply.text.strip()}"


def rights(driver: Driver) -> frozenset[str]:
    """What the callers turn out to be: the producer is a `mere_producer` unless he is an admin as well (A8)."""
    queues = driver.call(Op("GET", "/v1/codeq/admin/queues", "producer"))
    return frozenset() if queues.status == HTTPStatus.OK else frozenset({"mere_producer"})


def _harmless(name: str) -> Op:
    """A request that only this kind of caller may make, and that changes nothing."""
    if name == "admin":
        return Op("GET", "/v1/codeq/admin/queues", name)
    route = "tasks" if "producer" in name else "tasks/claim"
    return Op("POST", f"/v1/codeq/{route}", name, _NO_BODY)
