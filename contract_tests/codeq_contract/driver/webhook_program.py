"""A program for a container that has only Python: the suite's webhook, and the keys of its tokens.

`containers.RemoteReceiver` talks to it, and reads its JSON. Its answers have the fields of `webhooks.Answer`.
"""

from __future__ import annotations

import base64
import json
import time  # noqa: TID251 - the program runs alone and reports when a request came
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PORT = 8000

#: Seconds. Longer than any server waits for an answer (W3).
HANG_SECONDS = 60

DEFAULT: dict[str, Any] = {"status": 200, "location": None, "hangs": False, "after": 0, "body": ""}
ANSWERS: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
RECEIVED: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
KEYS: dict[str, Any] = {}


class Handler(BaseHTTPRequestHandler):
    """Paths below `/_` are for the suite, `/jwks.json` are the keys, and all others are webhooks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve a GET."""
        at, url = time.time_ns(), urlsplit(self.path)
        if url.path == "/_now":
            self._reply(at)
        elif url.path == "/_received":
            self._reply(RECEIVED[parse_qs(url.query)["path"][0]])
        elif url.path == "/jwks.json":
            self._keep(at, url.path)
            self._reply(KEYS)
        else:
            self._hook(at, url.path)

    def do_POST(self) -> None:
        """Serve a POST."""
        at, url = time.time_ns(), urlsplit(self.path)
        if url.path == "/_answers":
            message = json.loads(self._body())
            ANSWERS[message["path"]].extend(message["answers"])
            self._reply(None)
        elif url.path == "/_keys":
            KEYS.update(json.loads(self._body()))
            self._reply(None)
        else:
            self._hook(at, url.path)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _keep(self, at: int, path: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = base64.b64encode(self._body()).decode()
        RECEIVED[path].append({"at": at, "method": self.command, "path": path, "headers": headers, "body": body})

    def _hook(self, at: int, path: str) -> None:
        """Keep a request to the webhook, and answer it as the suite has asked for this path."""
        self._keep(at, path)
        answer = ANSWERS[path].popleft() if ANSWERS[path] else DEFAULT
        if answer["hangs"]:
            time.sleep(HANG_SECONDS)
            return
        time.sleep(answer["after"])
        self.send_response(answer["status"])
        if answer["location"] is not None:
            self.send_header("Location", answer["location"])
        content = answer["body"].encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()  # noqa: S104 - inside its container
