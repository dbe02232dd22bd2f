"""What requests are made of: operations, the fields of their bodies with sound and odd values, headers and targets.

Values are JSON texts. `{name}` and `{hooks}` are placeholders of `steps`. SHORT and LONG stand for times of a
`Pace`, LIFETIME for that of a subscription, COUNTER for a number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS

from .steps import HOOKS, NAME, TOKEN

SHORT, LONG, LIFETIME, COUNTER = "SHORT", "LONG", "LIFETIME", "COUNTER"

#: The paths of the webhook, and the statuses that it answers with before it answers 200.
HOOK_ANSWERS: Mapping[str, Sequence[int]] = MappingProxyType(
    {"ok": (), "fine": (299,), "fails": (503, 404), "kept": (304, 301), "gone": (410,) * 5}
)


_OFTEN = 0.2


@dataclass(frozen=True, slots=True)
class Operation:
    """A request, drawn as often as its `weight` says compared with others.

    `{task}`, `{held}`, `{subscription}` and `{command}` in its path are drawn.

    `body` names the fields of its body. With a `batch`, the body is a list of that name, and `body` names the fields of
    each item. A request that changes little is odd at least as often as `oddity` says. `scope` is what a worker's
    token needs.
    """

    weight: int
    method: str
    path: str
    side: str
    body: str = ""
    batch: str = ""
    oddity: float = 0.0
    scope: str = ""


OPERATIONS: Sequence[Operation] = (
    Operation(9, "POST", TASKS, "producer", "create"),
    Operation(2, "POST", f"{TASKS}/batch", "producer", "create", "tasks"),
    Operation(7, "POST", f"{TASKS}/claim", "worker", "claim", scope="codeq:claim"),
    Operation(3, "POST", f"{TASKS}/claim/batch", "worker", "claim_batch", scope="codeq:claim"),
    Operation(2, "POST", f"{TASKS}/{{held}}/heartbeat", "worker", "heartbeat", scope="codeq:heartbeat"),
    Operation(2, "POST", f"{TASKS}/{{held}}/abandon", "worker", "abandon", scope="codeq:abandon"),
    Operation(4, "POST", f"{TASKS}/{{held}}/nack", "worker", "nack", scope="codeq:nack"),
    Operation(5, "POST", f"{TASKS}/{{held}}/result", "worker", "result", scope="codeq:result"),
    Operation(2, "POST", f"{TASKS}/batch/results", "worker", "result_of", "results", scope="codeq:result"),
    Operation(3, "GET", f"{TASKS}/{{task}}", "reader", oddity=_OFTEN),
    Operation(2, "GET", f"{TASKS}/{{task}}/result", "reader", oddity=_OFTEN),
    Operation(2, "POST", SUBSCRIPTIONS, "worker", "subscribe", scope="codeq:subscribe"),
    Operation(
        2,
        "POST",
        f"{SUBSCRIPTIONS}/{{subscription}}/heartbeat",
        "worker",
        "renew",
        oddity=_OFTEN,
        scope="codeq:subscribe",
    ),
    Operation(1, "GET", f"{ADMIN}/queues", "admin", oddity=_OFTEN),
    Operation(2, "GET", f"{ADMIN}/queues/{{command}}", "admin", oddity=_OFTEN),
    Operation(2, "POST", f"{ADMIN}/tasks/cleanup", "admin", "clean_up", oddity=_OFTEN),
)
#: What each session ends with: its newest tasks are read, and what is counted of it.
READINGS: Sequence[str] = (f"{TASKS}/{{task}}", f"{TASKS}/{{task}}/result")
TOTALS: Sequence[str] = (f"{ADMIN}/queues/{NAME}-a", f"{ADMIN}/queues/{NAME}-b", "/metrics")

_OBJECTS = ("{}", '{"ok":true}', '{"b":1,"a":[1.0,2e3,"<&>"]}')
_TIMES = (
    *('"2031-01-01T00:00:00Z"',) * 12,
    '"2031-01-01T00:00:00Z"',
    '"2031-01-01T00:00:00+02:00"',
    '"2031-01-01"',
    '"2031-13-01T00:00:00Z"',
    '"2031-01-01t00:00:00z"',
    '"2031-01-01T00:00:00.5Z"',
    '"2031-01-01T24:00:00Z"',
    '"2031-02-30T00:00:00Z"',
    '"2020-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00Z"',
    '""',
    '"x"',
)
#: Addresses of webhooks, each of which answers in another way.
_SOUND_WEBHOOKS = tuple(f'"{HOOKS}/{NAME}-{path}-{COUNTER}"' for path in HOOK_ANSWERS)
#: Odd addresses of webhooks. Those that are taken lead to the webhook, too.
_ODD_WEBHOOKS = (
    *('""', '"//x"', '"ftp://x"', '"http://"', '"https://a b"', '"http://127.0.0.1:x/"', '"http://127.0.0.1:9/%zz"'),
    *(f'"{HOOKS}/{NAME}-ok-{COUNTER}{rest}"' for rest in ("?", "?b=<c>#d", "/%C3%A9", "/../x", "/é")),
)
_COMMANDS = (f'"{NAME}-A"', f'"{NAME}-A"', f'"{NAME}-a"', f'"{NAME}-B"')
_LISTS_OF_COMMANDS = (f'["{NAME}-A"]', f'["{NAME}-a"]', f'["{NAME}-B","{NAME}-A"]')

#: The fields of each body, with their usual values. The odd ones come from TEXTS, NUMBERS and OTHERS.
FIELDS: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "create": {
            "command": _COMMANDS,
            "payload": (*_OBJECTS, "1", '"x"', "[1]"),
            "priority": ("0", "4", "5", "9", "-1", "10", "null"),
            "webhook": (*_SOUND_WEBHOOKS * 3, *_ODD_WEBHOOKS),
            "maxAttempts": ("1", "2", "3", "5", "0", "null"),
            "idempotencyKey": (f'"{NAME}-k1"', f'"{NAME}-k2"', f'" {NAME}-k1 "', '""'),
            "delaySeconds": (SHORT, SHORT, LONG, "0", "-1"),
            "runAt": _TIMES,
        },
        "claim": {
            "commands": _LISTS_OF_COMMANDS,
            "leaseSeconds": (SHORT, SHORT, LONG, "0", "-1", "null"),
            "waitSeconds": ("0", "-1", "null", '"1"', "1.5", "1e0"),
        },
        "claim_batch": {
            "commands": _LISTS_OF_COMMANDS,
            "leaseSeconds": (SHORT, SHORT, LONG, "0"),
            "count": ("1", "2", "3", "10", "11", "0"),
        },
        "heartbeat": {"extendSeconds": (SHORT, LONG, "0", "-1")},
        "abandon": {},
        "nack": {"delaySeconds": (SHORT, LONG, "0", "-1"), "reason": ('"r"', '""', "null")},
        "result": {
            "status": (*('"COMPLETED"',) * 6, '"FAILED"', '"FAILED"', '"completed"', '"PENDING"'),
            "result": (*_OBJECTS, "null"),
            "error": ('"e"', '""', '" "', "null"),
            "artifacts": (
                "[]",
                "null",
                '[{"name":"a.txt","contentBase64":"aGk="}]',
                '[{"name":"b","url":"http://x"},{"name":"c","contentBase64":"aGk"}]',
                '[{"name":"","url":""}]',
                '[{"name":"c","contentBase64":"!"}]',
                "[{}]",
            ),
        },
        "subscribe": {
            "callbackUrl": (f'"{HOOKS}/{NAME}-sub1"', f'"{HOOKS}/{NAME}-sub2"'),
            "eventTypes": (f'["{NAME}-A"]', f'["{NAME}-a","{NAME}-B"]', f'["{NAME}-B"]'),
            "ttlSeconds": (LIFETIME,),
            "deliveryMode": ('"fanout"', '"group"', '"hash"', '""', '"x"'),
            "groupId": (f'"{NAME}-g"', '""'),
            "minIntervalSeconds": (SHORT, LONG, "0"),
        },
        "renew": {"ttlSeconds": (LIFETIME, LIFETIME, "0", "-1", "1.5", '"60"', "null")},
        "clean_up": {
            "before": ('"2020-01-01T00:00:00Z"', '"2020-01-01T00:00:00.5+02:00"', '"x"', "null", '""', "1"),
            "limit": ("1000", "5000", "0", "-1", "1.5", '"1"', "null"),
        },
    }
)

#: The fields without which a request does little.
USUAL_FIELDS = frozenset(
    {"callbackUrl", "command", "commands", "count", "eventTypes", "extendSeconds", "payload", "status", "ttlSeconds"}
)
#: How often a request has a field that is neither usual nor rare. Callbacks need a webhook, a task that can be claimed
#: at once, and a result with what its status asks for.
CHANCES: Mapping[str, float] = MappingProxyType(
    {"webhook": 0.6, "result": 0.9, "error": 0.6, "runAt": 0.1, "delaySeconds": 0.15}
)
#: Fields that are never odd: their odd values would touch other sessions, by what all share or by holding all up.
ISOLATED_FIELDS = frozenset({"before", "callbackUrl", "eventTypes", "ttlSeconds", "waitSeconds", "webhook"})

TEXTS: Sequence[str] = (
    *map(json.dumps, ("", " ", "\t", " A ", "A\xa0", "\0", "<b>&'\"", "\u2028", "a/b", "null", "x" * 300)),
    '"ÄÖ"',
    '"\u017f\u212a"',
    '"\U0001f600"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"a\udcffb"',
)
NUMBERS: Sequence[str] = (
    *("0", "1", "-1", "9", "10", "300", "86400", "2147483648", "-0", "1.0", "1.5", "1e2", "1E0", "0.0", "1e-3"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999999999999", "1e400"),
    *("01", "+1", ".5", "1."),
)
OTHERS: Sequence[str] = (
    *("true", "false", "null", "[]", "{}", "[null]", '{"a":{"b":[]}}', "[1,]", '{"a":1,}', "[" * 40 + "]" * 40),
    *("nul", "NaN", "Infinity", "'a'", '"\\u00"', '"\\x"', '"a\nb"', '"open'),
)
#: Whole bodies that are no object, or more than one. `%s` is the sound body.
BODIES: Sequence[str] = ("", " ", "null", "[]", "1", '"x"', "{", "%sx", "%s%s", "\ufeff%s", "  %s\n", "%s,", "[%s]")

IDS: Sequence[str] = (
    *("none", "claim", "batch", "%20", "a%20b", "a%2Fb", "..", ".", "%2e%2e", "%C3%A9", "%E9", "\xe9", "%00", "%25"),
    *("a;b", "a:b", "*", "a+b", "~", "x" * 400, ""),
)
COMMANDS_IN_PATHS: Sequence[str] = (*[f"{NAME}-A"] * 3, f"{NAME}-a", f"{NAME}-B", f"{NAME}-%41", "x%20y", "%3Cb%3E", "")
PATHS: Sequence[str] = (
    "/",
    "/healthz",
    "/v1/codeq",
    "/v1/codeq/workers",
    f"{ADMIN}/tasks",
    "/v2/codeq/tasks",
    "/METRICS",
)
QUERIES: Sequence[str] = ("?a=b", "?", "?a=%zz", "?%3Cb%3E", "?a;b", "?waitSeconds=1")
METHODS: Sequence[str] = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
CONTENT_TYPES: Sequence[str] = ("text/plain", "application/x-www-form-urlencoded", "x", "")
AUTHORIZATIONS: Sequence[str] = (
    *("", "Bearer", "Basic eDp5", "Bearer x", "Bearer a.b.c", f"Bearer {TOKEN},x", f"Bearer {TOKEN} x"),
    *(TOKEN, f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN}", f"Bearer\t{TOKEN}"),
)
HEADERS: Sequence[tuple[str, str]] = (
    *(("X-Request-Id", text) for text in ("abc", "a b", "", "x" * 200)),
    *(("X-Role", text) for text in ("ADMIN", "user")),
    ("Accept", "text/html"),
    ("Origin", "http://elsewhere.test"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)
