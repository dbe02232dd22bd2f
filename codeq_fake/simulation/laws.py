"""Laws: what must hold at the end of each run, whatever the weather was and whatever the test asserts.

They are judged on the fake's own history. What a race of the real server explains is told as that race.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from codeq_fake.journal import Request
from codeq_fake.testing import TaskView

from .contract_laws import contract_is_kept
from .evidence import Evidence, Violation
from .leases import RACES
from .log import LostError

#: A worker without work asks for some at least this often: a long poll takes up to 30 s (K2).
PATIENCE = 60.0

#: How many of the last tasks of a worker that claims no more are named.
_LAST = 5
_SECOND = 1_000_000_000
_CLAIMS = ("claim", "claim_batch")
_MISUSES = {400: "a bad request", 413: "a body that is too large"}
_NOT_FOUND = 404
_FINISHED = ("COMPLETED", "FAILED")


def find_violations(evidence: Evidence) -> list[Violation]:
    """All violations of all laws."""
    return [violation for law in LAWS for violation in law(evidence)]


def no_error_is_lost(evidence: Evidence) -> Iterator[Violation]:
    """No program of a host ends with an error. One that is started again and again may do so each time."""
    alike: dict[tuple[str, str], list[LostError]] = {}
    for lost in evidence.errors:
        alike.setdefault((lost.host, f"{type(lost.error).__name__}: {lost.error}"), []).append(lost)
    for (host, error), (first, *others) in alike.items():
        again = f" (and again, {len(others)} times until {others[-1].at:.1f} s)" if others else ""
        yield Violation("no error is lost", f"{host} ended at {first.at:.1f} s with {error}{again}")


def api_is_not_misused(evidence: Evidence) -> Iterator[Violation]:
    """No host sends what the server refuses as malformed, or to a path that does not exist."""
    for request in evidence.requests:
        misuse = _misuse(request)
        # Without a route there is no look at the token, so the caller is not known.
        if misuse and (request.caller in evidence.hosts or not request.caller):
            sender, at = request.caller or "a program", (request.at - evidence.started_at) / _SECOND
            reason = f", {request.reason or request.error}" if request.reason or request.error else ""
            text = f"{sender} sent {misuse} at {at:.1f} s: {request.method} {request.path} -> {request.status}{reason}"
            yield Violation("the API is not misused", text, tuple(task.id for task in request.tasks))


def _misuse(request: Request) -> str:
    if "refuse" in request.faults:  # a proxy's answer
        return ""
    if request.status == _NOT_FOUND and not request.operation:
        return "a request to no route"
    return _MISUSES.get(request.status, "")


def all_tasks_end(evidence: Evidence) -> Iterator[Violation]:
    """After the bad weather each task ends, as completed, failed or a dead letter."""
    if evidence.calm_since is None:
        return
    for task in evidence.tasks:
        if task.status not in _FINISHED:
            holder = f" by {task.worker}" if task.worker else ""
            text = f"task {task.id} is {task.status}{holder} at {evidence.end:.1f} s, after {task.attempts} attempts"
            yield Violation("each task ends", text, (task.id,), _loss(task))


def _loss(task: TaskView) -> str:
    """The race by which the task was lost to all claims, if it was."""
    last = [event["what"] for event in task.history if event["what"] != "heartbeat"][-1:]
    return "Z2" if any(RACES.get(what) == "Z2" for what in last) else ""


def living_workers_claim(evidence: Evidence) -> Iterator[Violation]:
    """A worker that runs asks for tasks, also after bad weather."""
    if evidence.calm_since is None or evidence.end - evidence.calm_since < PATIENCE:
        return
    last: dict[str, float] = {}
    for request in evidence.requests:
        if request.operation in _CLAIMS:
            last[request.caller] = (request.answered - evidence.started_at) / _SECOND
    for host in evidence.running:
        if host in last and last[host] < evidence.end - PATIENCE and not _worked_lately(evidence, host):
            text = f"{host} runs, and its last claim was answered at {last[host]:.1f} s of {evidence.end:.1f} s"
            yield Violation("a living worker claims", text, _last_claimed(evidence, host))


def _last_claimed(evidence: Evidence, host: str) -> tuple[str, ...]:
    """The ids of the tasks that a host got last."""
    claims = (request for request in evidence.requests if request.operation in _CLAIMS and request.caller == host)
    return tuple(dict.fromkeys(task.id for claim in claims for task in claim.tasks))[-_LAST:]


def _worked_lately(evidence: Evidence, host: str) -> bool:
    """Whether the host holds a task, or held one within the last minute: with all hands full it need not claim.

    A handler may take a little longer than its lease.
    """
    return any(
        holding.worker == host and holding.end > evidence.end - PATIENCE
        for task in evidence.tasks
        for holding in evidence.leases.holdings(task.id)
    )


#: All laws, the most telling first.
LAWS: tuple[Callable[[Evidence], Iterator[Violation]], ...] = (
    no_error_is_lost,
    api_is_not_misused,
    all_tasks_end,
    living_workers_claim,
    contract_is_kept,
)
