"""Request bodies: which fields each route reads, of which type (section 2)."""

from __future__ import annotations

from codeq_fake.wire import ANY, INT, LIST_OF, OBJECT, STRING, Kind, Struct

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
CREATE_BATCH = Struct({"tasks": LIST_OF(CREATE)})
CLAIM = Struct({"commands": LIST_OF(STRING), "leaseSeconds": INT, "waitSeconds": INT})
CLAIM_BATCH = Struct({"commands": LIST_OF(STRING), "leaseSeconds": INT, "count": INT})
HEARTBEAT = Struct({"extendSeconds": INT})
NACK = Struct({"delaySeconds": INT, "reason": STRING})
ARTIFACT = Struct({"name": STRING, "url": STRING, "contentBase64": STRING, "contentType": STRING})
#: ``workerId`` is read, so that its type is checked, and overwritten (section 10).
_RESULT: dict[str, Kind] = {
    "workerId": STRING,
    "status": STRING,
    "result": OBJECT,
    "error": STRING,
    "artifacts": LIST_OF(ARTIFACT),
}
SUBMIT = Struct(_RESULT)
SUBMIT_BATCH = Struct({"results": LIST_OF(Struct({"taskId": STRING, **_RESULT}))})
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
RENEW = Struct({"ttlSeconds": INT})
CLEANUP = Struct({"limit": INT, "before": STRING})
