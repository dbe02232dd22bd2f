"""Sections 4 to 10 of the contract: a task's life, from its creation to its result."""

from __future__ import annotations

from .clause import Clause, Section

TASK = Section(
    "The task as JSON",
    (
        Clause(
            "T1",
            "Payloads and results are re-encoded compactly: keys sorted, HTML escaped, numbers as doubles.",
            ("payloads", "bodies_create", "results"),
        ),
        Clause("T2", "A task with a stored result shows a resultKey.", ("results", "late_result")),
    ),
)

CREATE = Section(
    "Create",
    (
        Clause("C1", "A new task is answered with 202, pending or delayed.", ("create_and_read", "delays", "trace_*")),
        Clause(
            "C2",
            "A blank command is refused; commands that differ in case alone share a queue.",
            ("bodies_create", "claim_order"),
        ),
        Clause("C3", "A webhook must be an absolute http(s) URL with a host by Go's parser.", ("bodies_create",)),
        Clause(
            "C4", "maxAttempts that is not positive becomes the server's default.", ("bodies_create", "yaml_settings")
        ),
        Clause("C5", "A priority is clamped to 0..9.", ("bodies_create", "create_batch")),
        Clause(
            "C6",
            "runAt wins over delaySeconds; either is refused when malformed, before command and webhook are checked.",
            ("bodies_create", "delays"),
        ),
        Clause(
            "C7",
            "Delays have whole-second grain, so a task may surface up to a second early.",
            ("delays", "delays_other_phase", "delayed_many_due"),
        ),
        Clause(
            "C8",
            "An idempotency key brings back the task that it first made for 24 hours, whoever asks.",
            ("create_idempotent",),
        ),
        Clause(
            "C9",
            "A batch creates 1 to 100 tasks, each item with its own task or error.",
            ("create_batch", "bodies_worker"),
        ),
    ),
)

CLAIM = Section(
    "Claim",
    (
        Clause(
            "K1",
            "Commands must be among the token's event types; without any, these are claimed, or the built-in two.",
            ("claim_defaults", "auth"),
            note="Where the real server takes a token's event types in no particular order, we take them as listed.",
        ),
        Clause(
            "K2",
            "Leases default to 300 seconds; a claim waits 30 seconds at most, by default not at all.",
            ("claim_order", "claim_long_poll_cap", "bodies_worker", "yaml_settings"),
            note="A lease of more than 292 years wraps around as a Go duration does; no recording has one.",
        ),
        Clause("K3", "A claim answers 200 with the task, or 204.", ("claim_order", "trace_*")),
        Clause(
            "K4",
            "Order: commands as listed, then priority 9 down to 0, then first in first out.",
            ("claim_order", "delayed_many_due", "trace_*"),
        ),
        Clause(
            "K5",
            "A claimed task is in progress with its worker and lease, and has one attempt more.",
            ("claim_order", "trace_*"),
        ),
        Clause("K6", "A claim sees the queues of the caller's tenant alone.", ("claim_tenants", "auth_tenants")),
        Clause(
            "K7",
            "Due tasks and lost leases come back at the next claim of their command and tenant, and never before.",
            ("lease_expiry_lazy", "delayed_many_due", "delays_due_seen_by_get", "trace_*"),
            ours="differs",
            note=(
                "All expired leases of a command are repaired at one claim, the earliest first; the real server looks "
                "at 200 tasks in progress, sampled at random."
            ),
        ),
        Clause(
            "K8",
            "A lease counts as expired when the store's TTL reads 0, which each of three stores rounds in its way.",
            ("lease_expiry", "lease_expiry_other_phase", "heartbeat_shortens", "trace_*"),
        ),
        Clause(
            "K9",
            "A long poll tries every 250 ms until its deadline.",
            ("claim_long_poll", "claim_long_poll_cap", "trace_*"),
            note="A client that hangs up while it waits gets no task; no recording shows what the real server does.",
        ),
        Clause(
            "K10",
            "A batch claims 1 to 10 tasks; 204 when there is none.",
            ("claim_order", "create_batch", "bodies_worker", "trace_*"),
        ),
    ),
)

HEARTBEAT = Section(
    "Heartbeat",
    (
        Clause(
            "H1",
            "A lease is moved to now and the extension, 300 seconds by default, be that longer or shorter.",
            ("heartbeat", "heartbeat_shortens", "heartbeat_keeps_lease", "yaml_settings"),
        ),
        Clause("H2", "An unknown task is a 500, another's or nobody's a 403.", ("heartbeat", "claim_tenants")),
        Clause(
            "H3",
            "A lease that has run out is not revived: leaseUntil moves, and the next claim requeues the task.",
            ("heartbeat_late_does_not_revive",),
        ),
        Clause("H4", "An empty body is a bad body.", ("heartbeat", "bodies_worker")),
    ),
)

ABANDON = Section(
    "Abandon",
    (
        Clause("D1", "The task is pending again, at its queue's tail, with its attempts kept.", ("abandon", "trace_*")),
        Clause("D2", "Errors are those of a heartbeat.", ("abandon", "bodies_worker", "admin_cleanup_result")),
    ),
)

NACK = Section(
    "NACK and dead letters",
    (
        Clause(
            "N1",
            "An unknown task is a 404, another's or nobody's a 403, one not in progress a 409.",
            ("nack", "late_result", "admin_cleanup_result"),
        ),
        Clause("N2", "A NACK adds an attempt; at maxAttempts the task is a dead letter.", ("nack", "trace_*")),
        Clause(
            "N3",
            "Else it is delayed by delaySeconds or the backoff policy, capped by the server's maximum.",
            ("nack", "nack_backoff_*", "trace_*"),
        ),
        Clause(
            "N4",
            "A dead letter is FAILED with its reason, without result and callback.",
            ("nack", "admin", "callback_ok", "trace_*"),
        ),
        Clause(
            "N5",
            "A lease that ran out is a NACK by nobody, for the reason LEASE_EXPIRED.",
            ("lease_expiry_lazy", "lease_expiry_requeue_order", "trace_*"),
        ),
        Clause(
            "N6",
            "Five backoff policies; an unknown one acts as exp_full_jitter.",
            ("nack_backoff_*",),
        ),
    ),
)

RESULT = Section(
    "Results",
    (
        Clause(
            "S1",
            "A result is refused, in this order, for its task, its holder, its artifacts or its status.",
            ("results", "bodies_worker"),
        ),
        Clause(
            "S2",
            "A result is answered with its record, empty fields left out.",
            ("results", "results_batch"),
            ours="differs",
            note="updatedAt equals completedAt instead of being a little later: a step of the fake takes no time.",
        ),
        Clause("S3", "A late result counts until a claim has repaired its task.", ("late_result",)),
        Clause("S4", "The task ends in the status given, at no location, with no worker.", ("results", "trace_*")),
        Clause(
            "S5",
            "Artifacts are kept by their URL, or stored from base64 and given a file:// URL.",
            ("artifacts",),
            ours="differs",
            note=(
                "A file is written only into a LOCAL_ARTIFACTS_DIR that was set when the fake was started, and not if "
                "its name leads out of there or the machine cannot store it; the reply is the same."
            ),
        ),
        Clause(
            "S6",
            "A batch of known tasks ignores artifacts and calls nobody back; else each item goes its own way.",
            ("results_batch", "bodies_worker", "trace_*"),
        ),
        Clause("S7", "A result is shown with its task; without task or result: 404.", ("results", "create_and_read")),
        Clause("S8", "A task is shown whatever its tenant; unknown: 404.", ("create_and_read", "claim_tenants")),
    ),
)

SECTIONS = (TASK, CREATE, CLAIM, HEARTBEAT, ABANDON, NACK, RESULT)
