"""A request of the journal as a command line of curl. The token stays a variable of the shell."""

from __future__ import annotations

from shlex import quote

from codeq_fake.payloads import Request

from .rendering import LONGEST

#: What curl or the server makes itself, and what belongs to this one request.
_LEFT_OUT = frozenset(
    {
        *("host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "transfer-encoding"),
        *("traceparent", "tracestate", "x-request-id"),
    }
)


def as_curl(request: Request, origin: str) -> str:
    """The command that sends the request again."""
    lines = [f"curl -i -X {quote(request['method'])} {quote(origin + request['path'])}"]
    for name, value in request["headers"].items():
        if name == "authorization":
            lines.append('-H "Authorization: Bearer $CODEQ_TOKEN"')
        elif name not in _LEFT_OUT and value != "***":  # a secret
            lines.append(f"-H {quote(f'{name}: {value}')}")
    if request["body"]:
        whole = len(request["body"]) <= LONGEST
        lines.append(f"--data-raw {quote(request['body'])}" if whole else "--data-binary @body.json")
    return " \\\n  ".join(lines)
