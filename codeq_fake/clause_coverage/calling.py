"""Sections 1 to 3 of the contract: the routes, what is read from a body, and who may call."""

from __future__ import annotations

from .clause import Clause, Section

SURFACE = Section(
    "Routes and replies",
    (
        Clause("R1", "POST /v1/codeq/tasks creates a task.", ("create_and_read", "bodies_create", "trace_*")),
        Clause("R2", "POST /v1/codeq/tasks/batch creates several tasks.", ("create_batch", "trace_*")),
        Clause("R3", "POST /v1/codeq/tasks/claim leases a task to a worker.", ("claim_order", "trace_*")),
        Clause("R4", "POST /v1/codeq/tasks/claim/batch leases several tasks.", ("claim_order", "trace_*")),
        Clause("R5", "POST /v1/codeq/tasks/:id/heartbeat moves the end of a lease.", ("heartbeat", "trace_*")),
        Clause("R6", "POST /v1/codeq/tasks/:id/abandon gives a task back at once.", ("abandon", "trace_*")),
        Clause("R7", "POST /v1/codeq/tasks/:id/nack gives a task back as not done.", ("nack", "trace_*")),
        Clause("R8", "POST /v1/codeq/tasks/:id/result ends a task with a result.", ("results", "trace_*")),
        Clause("R9", "POST /v1/codeq/tasks/batch/results ends several tasks.", ("results_batch", "trace_*")),
        Clause(
            "R10",
            "POST /v1/codeq/workers/subscriptions subscribes to queue-ready notices.",
            ("subscriptions_fanout", "bodies_worker"),
        ),
        Clause(
            "R11",
            "POST /v1/codeq/workers/subscriptions/:id/heartbeat renews a subscription.",
            ("subscriptions_fanout", "subscriptions_expire"),
        ),
        Clause("R12", "GET /v1/codeq/tasks/:id shows a task.", ("create_and_read", "trace_*")),
        Clause("R13", "GET /v1/codeq/tasks/:id/result shows a task with its result.", ("results", "trace_*")),
        Clause("R14", "GET /v1/codeq/admin/queues shows the built-in queues' sizes.", ("admin", "create_and_read")),
        Clause("R15", "GET /v1/codeq/admin/queues/:command shows one queue's sizes.", ("admin", "trace_*")),
        Clause("R16", "POST /v1/codeq/admin/tasks/cleanup deletes old tasks.", ("admin", "bodies_worker")),
        Clause("R17", "GET /metrics needs no token.", ("metrics",)),
        Clause(
            "R18",
            "Everything else, a wrong method and /healthz too, is one plain-text 404 that asks for no token.",
            ("surface",),
            ours="differs",
            note="The control API answers under /_fake, unless the fake is started without it.",
        ),
        Clause("R19", "A trailing slash too many is redirected: 301 for GET, 307 for the others.", ("surface",)),
        Clause(
            "R20",
            "Each reply carries X-Request-Id: the caller's own, or 32 hex digits.",
            note="The recordings left this header out.",
        ),
        Clause("R21", "Bodies are JSON in UTF-8; the request's Content-Type is not looked at.", ("surface", "trace_*")),
        Clause("R22", "A refusal's body is an object with its text as error.", ("bodies_create", "bodies_worker")),
        Clause(
            "R23",
            "Tasks, records, statistics and batch items have keys in a fixed order, other objects in the alphabet's.",
            ("results", "admin", "rate_limit", "trace_*"),
        ),
    ),
)

BODIES = Section(
    "Request bodies",
    (
        Clause(
            "B1",
            "Bodies are read as Go binds JSON to typed fields: strict syntax, names in any case, no conversions.",
            ("bodies_create", "bodies_worker", "payloads"),
        ),
        Clause(
            "B2",
            "A bad body is a 400 in fixed words, but renewals and clean-ups forgive it and abandoning reads none.",
            ("bodies_create", "bodies_worker", "results"),
            ours="differs",
            note="A body of more than 64 MiB is answered with 413.",
        ),
        Clause(
            "B3",
            "Token, scope and rate limit are checked before the body is looked at.",
            ("auth", "rate_limit"),
        ),
    ),
)

AUTHENTICATION = Section(
    "Authentication and tenants",
    (
        Clause("A1", "Without an Authorization header the answer is 401.", ("auth", "auth_producer_as_worker")),
        Clause("A2", "The header must be Bearer and a token, the scheme in any case.", ("auth", "auth_static")),
        Clause(
            "A3",
            "The static provider knows one token, with fixed subject, scopes, event types and claims.",
            ("auth_static", "auth_static_bare", "auth_static_stock_compose"),
        ),
        Clause(
            "A4",
            "The JWKS provider takes RSA-signed tokens of its issuer and audience while they are valid.",
            ("auth",),
            ours="differs",
            note=(
                "The key set may also be given in the settings or by a file:// URL, and identities have plain texts "
                "for tokens, judged by their claims as signed ones are. Tokens expire by the fake's clock. What is "
                "said of a key set that cannot be fetched, or of broken JSON inside a token, may be worded otherwise."
            ),
        ),
        Clause(
            "A5",
            "Worker routes want event types and scopes in the token, and the route's own scope among them.",
            ("auth", "auth_static_bare"),
        ),
        Clause(
            "A6",
            "If so configured, a producer's token works as that of a worker who may do everything.",
            ("auth_producer_as_worker",),
        ),
        Clause("A7", "Tasks and results may be read by workers with event types and by producers.", ("auth",)),
        Clause(
            "A8",
            "Admin routes want the scope codeq:admin, the role ADMIN, or in dev the header X-Role.",
            ("auth", "auth_static", "auth_static_bare", "yaml_settings"),
        ),
        Clause(
            "A9",
            "A caller's tenant is its first textual tenant claim, or else its subject.",
            ("auth_tenants", "auth_static_stock_compose", "auth"),
        ),
    ),
)

SECTIONS = (SURFACE, BODIES, AUTHENTICATION)
