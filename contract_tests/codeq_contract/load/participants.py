"""The participants of a load: the producers and workers of each tenant, as far as the target knows callers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from codeq_contract.driver import Driver, Namespace
from codeq_contract.driver.identities import worker as worker_identity
from codeq_contract.recorder.token_claims import claims_in

from .actors import TaskLog

_COMMANDS = 2

#: One in so many participants belongs to the second tenant, if there is one.
_SHARE_OF_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Tenant:
    """The callers of one tenant by name, and their commands. A name may appear more than once."""

    producers: Sequence[str]
    workers: Sequence[str]
    commands: Sequence[str]
    log: TaskLog = field(default_factory=TaskLog)


def tenants_of(driver: Driver, names: Namespace, *, producers: int, workers: int) -> list[Tenant]:
    """That many producers and workers, in one tenant or two. Only this load uses their commands."""
    other_producers, other_workers = producers // _SHARE_OF_OTHERS, workers // _SHARE_OF_OTHERS
    if "tenants" not in driver.features or not (other_producers and other_workers):
        return [_tenant(driver, names, producers, workers, prefix="")]
    return [
        _tenant(driver, names, producers - other_producers, workers - other_workers, prefix=""),
        _tenant(driver, names, other_producers, other_workers, prefix="other_"),
    ]


def _tenant(driver: Driver, names: Namespace, producers: int, workers: int, *, prefix: str) -> Tenant:
    commands = [names.command() for _ in range(_COMMANDS)]
    known_producers = [name for name in driver.tokens if name.startswith(f"{prefix}producer")]
    known_workers = [name for name in driver.tokens if name.startswith(f"{prefix}worker")]
    if driver.issuer is not None:
        known_workers += _more_workers(driver, known_workers[0], workers - len(known_workers))
    return Tenant([*islice(cycle(known_producers), producers)], [*islice(cycle(known_workers), workers)], commands)


def _more_workers(driver: Driver, known: str, number: int) -> list[str]:
    """That many new workers in the tenant of a known one."""
    tenant = str((claims_in(driver.tokens[known]) or {}).get("tenantId"))
    found = [f"{known}-{place}" for place in range(2, number + 2)]
    for name in found:
        driver.mint(name, worker_identity(name, tenant))
    return found
