"""Who takes part in a load: the producers and workers of each tenant, as far as the target knows callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING

from codeq_contract.driver.identities import worker as worker_identity
from codeq_contract.load.actors import Ledger
from codeq_contract.recorder.token_claims import claims_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.driver import Driver, Namespace

_COMMANDS = 2

#: One in so many belongs to the second tenant, where there is one.
_SHARE_OF_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Team:
    """The callers of one tenant, by name, and the commands that are theirs; a name may stand there more than once."""

    producers: Sequence[str]
    workers: Sequence[str]
    commands: Sequence[str]
    ledger: Ledger = field(default_factory=Ledger)


def teams_of(driver: Driver, names: Namespace, *, producers: int, workers: int) -> list[Team]:
    """So many producers and workers, in one tenant or two; all of them have commands of this load's own."""
    others_produce, others_work = (
        (producers // _SHARE_OF_OTHERS, workers // _SHARE_OF_OTHERS) if "tenants" in driver.features else (0, 0)
    )
    if not (others_produce and others_work):
        others_produce = others_work = 0
    ours = _team(driver, names, producers - others_produce, workers - others_work, prefix="")
    if not others_work:
        return [ours]
    return [ours, _team(driver, names, others_produce, others_work, prefix="other_")]


def _team(driver: Driver, names: Namespace, producers: int, workers: int, *, prefix: str) -> Team:
    commands = [names.command() for _ in range(_COMMANDS)]
    makers = [name for name in driver.tokens if name.startswith(f"{prefix}producer")]
    takers = [name for name in driver.tokens if name.startswith(f"{prefix}worker")]
    if driver.issuer is not None:
        takers += _further_workers(driver, takers[0], workers - len(takers))
    return Team([*islice(cycle(makers), producers)], [*islice(cycle(takers), workers)], commands)


def _further_workers(driver: Driver, known: str, number: int) -> list[str]:
    """So many more workers of the tenant of a known one."""
    tenant = str((claims_in(driver.tokens[known]) or {}).get("tenantId"))
    found = [f"{known}-{place}" for place in range(2, number + 2)]
    for name in found:
        driver.mint(name, worker_identity(name, tenant))
    return found
