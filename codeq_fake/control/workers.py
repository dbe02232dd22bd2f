"""The workers of a fake, as its journal knows them: what each asks for, what it holds, and what was refused to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

from codeq_fake import payloads
from codeq_fake.core.slices import Slices, batches
from codeq_fake.http.operations import CLAIMS
from codeq_fake.journal import Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.surprises.history import commands_asked_for

from . import representations

#: Tenant and name of a worker.
_Key: TypeAlias = tuple[str, str]

_OPERATIONS = CLAIMS | {"heartbeat", "abandon", "nack", "submit", "submit_batch"}
_ERROR = 400
#: How many of the last callers a story names.
_FEW = 3


def of_fake(runtime: FakeServer) -> Slices[list[payloads.Worker]]:
    """Each worker that the journal has a request of, the latest first."""
    leases: Counter[_Key] = Counter()
    for queues in batches(list(runtime.broker.store.queues.values())):
        leases.update((task.tenant, task.worker) for queue in queues for task in list(queue.in_progress.values()))
        yield
    workers: dict[_Key, payloads.Worker] = {}
    for entries in batches(list(reversed(runtime.requests.entries))):
        for entry in entries:
            if entry.operation in _OPERATIONS:
                _note(workers, entry, leases)
        yield
    return list(workers.values())


def _note(workers: dict[_Key, payloads.Worker], entry: Request, leases: Counter[_Key]) -> None:
    """Add a request, which is earlier than those that were noted before."""
    key = entry.tenant, entry.caller
    worker = workers.get(key)
    if worker is None:
        worker = workers[key] = {
            "worker": entry.caller or None,
            "tenant": entry.tenant or None,
            "lastRequest": representations.time(entry.at),
            "lastClaim": None,
            "commands": [],
            "claimed": None,
            "leases": leases[key],
            "requests": 0,
            "refused": 0,
        }
    worker["requests"] += 1
    worker["refused"] += entry.status >= _ERROR
    if entry.operation in CLAIMS and worker["lastClaim"] is None:
        worker["lastClaim"] = representations.time(entry.at)
        worker["commands"] = commands_asked_for(entry)
        worker["claimed"] = entry.reason or f"got {len(entry.tasks)}"


def latest_claims(runtime: FakeServer) -> list[Request]:
    """The latest claim of each of the last callers, the latest first."""
    return list(islice(_last_claim_by_caller(runtime), _FEW))


def _last_claim_by_caller(runtime: FakeServer) -> Iterator[Request]:
    callers: set[str] = set()
    for entry in reversed(runtime.requests.entries):
        if entry.operation in CLAIMS and entry.caller not in callers:
            callers.add(entry.caller)
            yield entry
