"""The recorded calls of the real server, and the schemas of the bodies in them."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from codeq_contract.recordings.shipped import FOLDER
from codeq_fake.wire import ANY, INT, LIST_OF, OBJECT, STRING, BadBody, Kind, Struct, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILES = ("redis", "kvrocks-2.8", "kvrocks-2.9")

CREATE = Struct(
    {
        "command": STRING,
        "payload": ANY,
        "priority": INT,
        "webhook": STRING,
        "maxAttempts": INT,
        "idempotencyKey": STRING,
        "runAt": STRING,
        "delaySeconds": INT,
    }
)
ARTIFACT = Struct({"name": STRING, "url": STRING, "contentBase64": STRING, "contentType": STRING})
_RESULT_FIELDS: dict[str, Kind] = {"status": STRING, "result": OBJECT, "error": STRING, "artifacts": LIST_OF(ARTIFACT)}
RESULT = Struct(_RESULT_FIELDS)
RESULTS = Struct({"results": LIST_OF(Struct({"taskId": STRING, **_RESULT_FIELDS}))})
CLAIM = Struct({"commands": LIST_OF(STRING), "leaseSeconds": INT, "waitSeconds": INT})
CLAIM_BATCH = Struct({"commands": LIST_OF(STRING), "leaseSeconds": INT, "count": INT})
SUBSCRIBE = Struct(
    {
        "callbackUrl": STRING,
        "eventTypes": LIST_OF(STRING),
        "ttlSeconds": INT,
        "deliveryMode": STRING,
        "groupId": STRING,
        "minIntervalSeconds": INT,
    }
)


class Call(NamedTuple):
    """One request to the real server, and its answer."""

    method: str
    path: str
    body: str
    status: int
    reply: str

    @property
    def answer(self) -> Any:
        return json.loads(self.reply)

    @property
    def error(self) -> str | None:
        """The error text, if that is all there is to the answer."""
        return self.answer["error"] if self.reply.startswith('{"error":') and len(self.answer) == 1 else None


@cache
def sessions(profile: str) -> list[list[dict[str, Any]]]:
    """Each recorded session against a profile's store: its header, then its calls and callbacks."""
    return [
        [json.loads(line) for line in gzip.open(file, "rt", encoding="utf-8")]
        for file in sorted((FOLDER / "v0.3.3" / profile).glob("*.jsonl.gz"))
        if not file.name.startswith("history_")
    ]


def calls(profile: str) -> Iterator[Call]:
    """The calls that were authorized and not throttled."""
    for session in sessions(profile):
        for line in session:
            if line["kind"] == "call" and line["status"] not in {401, 403, 429}:
                path = line["path"].removeprefix("/v1/codeq")
                yield Call(line["method"], path, line["body"] or "", line["status"], line["reply"])


def creates(profile: str) -> Iterator[Call]:
    """The calls of R1."""
    return (call for call in calls(profile) if (call.method, call.path) == ("POST", "/tasks"))


def fields(body: str, struct: Struct) -> dict[str, Any] | None:
    """What the body sets, or None if it is a bad one."""
    try:
        return decode(body.encode(), struct)
    except BadBody:
        return None
