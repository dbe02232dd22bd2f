"""What a case leaves behind on somebody else's server: as little as it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.driver import Outcome

if TYPE_CHECKING:
    from codeq_contract.caller import Caller
    from codeq_contract.contract import Contract

_OK = 200
_MOST = 1000
_ENDED = {"status": "FAILED", "error": "left behind by the contract suite"}


def leave_tidy(contract: Contract) -> None:
    """End each task of the case that can be ended; servers of our own are thrown away as they are."""
    if "minting" in contract.driver.features:
        return
    actors = {exchange.op.identity or "" for exchange in contract.transcript}
    for name in sorted(actor for actor in actors if "worker" in actor):
        _end_own(contract, contract.caller(name))
        _drain(contract, contract.caller(name))


def _end_own(contract: Contract, worker: Caller) -> None:
    """End what this worker still holds."""
    for exchange in list(contract.transcript):
        claimed = exchange.op.path.endswith("/claim") and exchange.op.identity == worker.name
        if claimed and exchange.reply.status == _OK:
            worker.submit(exchange.reply.json, **_ENDED)


def _drain(contract: Contract, worker: Caller) -> None:
    """Claim and end what waits under the case's own commands."""
    for command in contract.names.commands:
        for _ in range(_MOST):
            reply = worker.claim(command)
            if reply.outcome is not Outcome.OK or not reply.body:
                break
            worker.submit(reply.json, **_ENDED)
