"""Requests as command lines of curl: one of the journal, whose token stays a variable of the shell, and a first one."""

from __future__ import annotations

from shlex import quote

from codeq_fake.payloads import Request

from .limits import LONGEST_BODY

#: What curl or the server makes itself, and what belongs to this one request.
_LEFT_OUT = frozenset(
    {
        *("host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "transfer-encoding"),
        *("traceparent", "tracestate", "x-request-id"),
    }
)
#: The body of a first task.
_FIRST = '{"command": "HELLO", "payload": {"to": "world"}}'


def as_curl(request: Request, origin: str) -> str:
    """The command that sends the request again."""
    lines = [f"curl -i -X {quote(request['method'])} {quote(origin + request['path'])}"]
    for name, value in request["headers"].items():
        if name == "authorization":
            lines.append('-H "Authorization: Bearer $CODEQ_TOKEN"')
        elif name not in _LEFT_OUT and value != "***":  # a secret
            lines.append(f"-H {quote(f'{name}: {value}')}")
    if request["body"]:
        whole = len(request["body"]) <= LONGEST_BODY
        lines.append(f"--data-raw {quote(request['body'])}" if whole else "--data-binary @body.json")
    return " \\\n  ".join(lines)


def first_task(origin: str, token: str | None) -> str:
    """The command that creates a task. Without a token it is a variable of the shell."""
    authorization = quote(f"Authorization: Bearer {token}") if token else '"Authorization: Bearer $CODEQ_TOKEN"'
    lines = [f"curl -i {quote(f'{origin}/v1/codeq/tasks')}", f"-H {authorization}", f"-d {quote(_FIRST)}"]
    return " \\\n  ".join(lines)
