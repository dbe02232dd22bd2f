"""Sections 11 to 18 of the contract: what the server does beside the calls on a task."""

from __future__ import annotations

from .clause import Clause, Section

_ONLY_LOCAL = (
    "Only this machine, private networks and hosts that were opened by name are called; anything else is recorded as "
    "blocked and not tried again."
)
_ATOMIC = "Each step of the fake is atomic: this happens only where a fault rule asks for it."

CALLBACKS = Section(
    "Result callbacks",
    (
        Clause(
            "W1",
            "A result that was handed in by itself is posted to its task's webhook.",
            ("callback_ok", "results_batch"),
            ours="differs",
            note=_ONLY_LOCAL,
        ),
        Clause(
            "W2",
            "With a secret, each try carries a timestamp and an HMAC-SHA256 signature.",
            ("callback_ok", "callback_retry", "callback_capped_unsigned"),
        ),
        Clause(
            "W3",
            "What is not answered with 2xx is tried again with doubling pauses, five times in all.",
            ("callback_retry", "callback_gives_up", "callback_capped_unsigned"),
            certainty="source",
            note="Only the 15 seconds that a try may take are known from the source alone.",
        ),
        Clause(
            "W4",
            "Redirects are followed: 301 to 303 as a GET, 307 and 308 as the same POST.",
            ("callback_redirect",),
        ),
    ),
)

SUBSCRIPTIONS = Section(
    "Queue-ready subscriptions",
    (
        Clause(
            "U1",
            "Subscribing wants a callback URL, checks its mode and has defaults for the rest.",
            ("bodies_worker", "subscriptions_fanout"),
        ),
        Clause(
            "U2",
            "Renewing answers the new expiry, or 404.",
            ("subscriptions_fanout", "subscriptions_expire", "bodies_worker"),
        ),
        Clause(
            "U3",
            "A notice is due when a create finds a pending queue empty, and at no other time.",
            ("subscriptions_fanout", "subscriptions_requeue_is_silent"),
        ),
        Clause(
            "U4",
            "Notices are sent once, one after another, before the create is answered.",
            ("subscriptions_fanout",),
            ours="differs",
            note=_ONLY_LOCAL,
        ),
        Clause(
            "U5",
            "A subscription hears at most one notice in its minimum interval.",
            ("subscriptions_fanout", "subscriptions_group_and_hash"),
        ),
        Clause(
            "U6",
            "fanout tells all in order of expiry, group takes turns, hash changes by the minute.",
            ("subscriptions_fanout", "subscriptions_group_and_hash"),
        ),
        Clause(
            "U7",
            "In group and hash the first one's throttle decides, and turns of others are lost.",
            ("subscriptions_group_and_hash",),
        ),
        Clause("U8", "Notices cross tenants.", ("subscriptions_fanout",)),
        Clause(
            "U9",
            "An expired subscription hears nothing until renewed; a sweep deletes those of built-in commands.",
            ("subscriptions_expire",),
            certainty="source",
            note="Only the sweep is known from the source alone.",
        ),
    ),
)

ADMIN = Section(
    "Administration",
    (
        Clause(
            "M1",
            "The overview has the built-in commands' queues of the tenant-less alone.",
            ("admin", "create_and_read"),
        ),
        Clause("M2", "Statistics are those of the caller's tenant.", ("admin", "create_and_read", "trace_*")),
        Clause(
            "M3",
            "A clean-up deletes tasks that nobody has touched for a day, as of a time that may lie ahead.",
            ("admin", "admin_cleanup_result", "create_idempotent", "bodies_worker"),
        ),
    ),
)

LIMITS_AND_METRICS = Section(
    "Rate limits and metrics",
    (
        Clause(
            "L1",
            "Token buckets by bearer token limit producers, workers and admins, and by URL the webhooks.",
            ("rate_limit",),
            certainty="source",
            note="Only the webhooks' bucket is known from the source alone.",
        ),
        Clause(
            "L2",
            "Ten families count and time what the server does, and measure its queues.",
            ("metrics",),
            ours="differs",
            note=(
                "There are the codeq_ families alone, none of Go's own; codeq_rate_limit_hits_total has a help text of "
                "ours."
            ),
        ),
    ),
)

TRACING = Section(
    "Tracing",
    (Clause("X1", "With tracing on, tasks and callbacks carry a trace and a new span at each step.", ("tracing",)),),
)

SETTINGS = Section(
    "Settings",
    (
        Clause(
            "settings",
            "The server is set up by environment variables and a YAML file.",
            ("yaml_settings", "callback_capped_unsigned", "nack_backoff_*", "auth_static*", "rate_limit"),
            ours="differs",
            note=(
                "The fake needs no store and ignores its address; without any auth setting both sides take the token "
                "dev-token. A malformed value is refused by name, even where the real server would pass over it."
            ),
        ),
    ),
)

RACES = Section(
    "Races",
    (
        Clause("Z1", "A finished task comes back.", ours="differs", note=_ATOMIC),
        Clause("Z2", "A task is lost.", ours="differs", note=_ATOMIC),
        Clause("Z3", "A fresh lease is revoked.", ours="differs", note=_ATOMIC),
        Clause("Z4", "A claim finds nothing though there is a task.", certainty="source", ours="differs", note=_ATOMIC),
    ),
)

SECTIONS = (CALLBACKS, SUBSCRIPTIONS, ADMIN, LIMITS_AND_METRICS, TRACING, SETTINGS, RACES)
