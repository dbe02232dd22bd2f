"""The register: every clause of the contract by its id, and why some have no case."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONTRACT = "v0.3.3"

CLAUSES: Mapping[str, str] = MappingProxyType(
    {
        "R1": "POST /tasks creates a task",
        "R2": "POST /tasks/batch creates several",
        "R3": "POST /tasks/claim claims one",
        "R4": "POST /tasks/claim/batch claims several",
        "R5": "POST /tasks/:id/heartbeat extends a lease",
        "R6": "POST /tasks/:id/abandon gives a task back",
        "R7": "POST /tasks/:id/nack gives it back as failed",
        "R8": "POST /tasks/:id/result ends it",
        "R9": "POST /tasks/batch/results ends several",
        "R10": "POST /workers/subscriptions subscribes",
        "R11": "POST /workers/subscriptions/:id/heartbeat renews",
        "R12": "GET /tasks/:id reads a task",
        "R13": "GET /tasks/:id/result reads its result",
        "R14": "GET /admin/queues lists queue lengths",
        "R15": "GET /admin/queues/:command counts a queue",
        "R16": "POST /admin/tasks/cleanup deletes old tasks",
        "R17": "GET /metrics is open to anyone",
        "R18": "unknown paths and methods are 404",
        "R19": "a trailing slash is redirected",
        "R20": "every response has an X-Request-Id",
        "R21": "JSON is UTF-8, whatever the request's type",
        "R22": "errors are an object with `error`",
        "R23": "keys have their order, strings are escaped",
        "B1": "bodies are read as Go reads JSON",
        "B2": "a bad body is refused by one text",
        "B3": "authentication, scope, rate limit, body",
        "A1": "no Authorization header",
        "A2": "a header that is no bearer token",
        "A3": "static tokens",
        "A4": "signed tokens",
        "A5": "event types and scopes of workers",
        "A6": "a producer as a worker",
        "A7": "who may read",
        "A8": "who is an admin",
        "A9": "where the tenant comes from",
        "T1": "payloads are re-encoded as compact JSON",
        "T2": "resultKey once there is a result",
        "C1": "a new task is pending or delayed",
        "C2": "commands are not blank, and queues ignore case",
        "C3": "webhooks are http URLs with a host",
        "C4": "maxAttempts has a default",
        "C5": "priority is clamped",
        "C6": "runAt and delaySeconds, in this order",
        "C7": "delays have whole-second grain",
        "C8": "idempotency keys",
        "C9": "a batch of 1 to 100",
        "K1": "commands and event types",
        "K2": "the default lease, the longest wait",
        "K3": "200 with a task or 204",
        "K4": "the order of claims",
        "K5": "what a claim does to a task",
        "K6": "only the caller's tenant",
        "K7": "repair comes first, and only at claims",
        "K8": "when a lease counts as over",
        "K9": "long polls",
        "K10": "a batch of 1 to 10",
        "H1": "a heartbeat moves the lease",
        "H2": "whose heartbeat is refused",
        "H3": "a late heartbeat revives nothing",
        "H4": "a heartbeat needs a body",
        "D1": "an abandoned task is at the tail at once",
        "D2": "whose abandon is refused",
        "N1": "which NACK is refused",
        "N2": "a NACK is an attempt",
        "N3": "the delay after a NACK",
        "N4": "the dead letter queue",
        "N5": "an expired lease is a NACK by nobody",
        "N6": "backoff policies",
        "S1": "the checks of a result and their order",
        "S2": "the record of a result",
        "S3": "a late result is accepted before repair",
        "S4": "the task after its result",
        "S5": "artifacts",
        "S6": "results in a batch",
        "S7": "reading a result",
        "S8": "reading a task",
        "W1": "the callback's body",
        "W2": "the callback's headers and signature",
        "W3": "callbacks are tried again",
        "W4": "callbacks follow redirects",
        "U1": "subscribing",
        "U2": "renewing",
        "U3": "what triggers a notice",
        "U4": "the notice, sent before create answers",
        "U5": "the throttle",
        "U6": "the order, groups and hashes",
        "U7": "only the first one's throttle is looked at",
        "U8": "tenants are not consulted",
        "U9": "expired subscriptions",
        "M1": "the list of queue lengths",
        "M2": "the counts of a queue",
        "M3": "clean-up",
        "L1": "rate limits",
        "L2": "metrics",
        "X1": "tracing",
        "Z1": "race: a finished task comes back",
        "Z2": "race: a task is lost",
        "Z3": "race: a fresh lease is revoked",
        "Z4": "race: a false 204",
    }
)

#: Clauses that no case checks, and why not.
WITHOUT_CASE: Mapping[str, str] = MappingProxyType({})


class RegisterError(Exception):
    """The cases and the register do not fit; the text says where."""


def check_claims(case: str, groups: Sequence[str], claimed: Sequence[str]) -> None:
    """Whether a case may be in these groups and name these clauses. Raises RegisterError."""
    if len(groups) != 1:
        raise RegisterError(f"{case} is in {len(groups)} groups; it must be in one")
    if not claimed:
        raise RegisterError(f"{case} names no clause of the contract")
    for clause in claimed:
        if clause not in CLAUSES:
            raise RegisterError(f"{case} names {clause}, which the contract does not have")
        if clause in WITHOUT_CASE:
            raise RegisterError(f"{case} names {clause}, which is said to have no case: {WITHOUT_CASE[clause]}")
        if claimed.count(clause) > 1:
            raise RegisterError(f"{case} names {clause} twice")


def check_complete(claimed: Iterable[str]) -> None:
    """Whether these are all clauses that need a case. Raises RegisterError."""
    settled = {*claimed, *WITHOUT_CASE}
    missing = [clause for clause in CLAUSES if clause not in settled]
    if missing:
        raise RegisterError(f"no case names {', '.join(missing)}, and no reason is given why")
