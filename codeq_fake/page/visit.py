"""One request of a browser: what it sent, and the ways to answer it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from codeq_fake import __version__
from codeq_fake.control import BadRequestError
from codeq_fake.control.argument_readers import whole
from codeq_fake.control.controls import Controls
from codeq_fake.core.durations import beside_real
from codeq_fake.documents import BadDocumentError, read_json
from codeq_fake.runtime.fake_server import FakeServer

from .access import cookie_name
from .data import Event
from .rendering import render

HOME = "/_fake/"

_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")

_NOT_FOUND = 404

#: How many characters of a message fit into its cookie.
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent: texts, and a file if it has one."""

    texts: Mapping[str, str] = field(default_factory=dict)
    file: bytes | None = None

    @property
    def back(self) -> str:
        """The path to go to afterwards; never outside of the page."""
        path = self.texts.get("back", "")
        return path if path.startswith(HOME) else HOME


class Visit:
    """One request and the fake that it is about."""

    def __init__(self, request: Request, runtime: FakeServer, controls: Controls, *, needs_token: bool) -> None:
        self.request = request
        self.runtime = runtime
        self.controls = controls
        #: Empty until `read_form`.
        self.form = Form()
        #: The next event, for the clock of the page.
        self.event: Event | None = None
        self._has_form = False
        self._needs_token = needs_token

    def text(self, name: str) -> str:
        """A value of the query, or an empty text."""
        return self.request.query_params.get(name, "")

    def number(self, name: str, default: int = 0) -> int:
        """A whole number of the query. Raises BadRequestError."""
        return whole(self.text(name), name) if self.text(name) else default

    def field(self, name: str) -> str:
        """A field of the form, or an empty text."""
        return self.form.texts.get(name, "")

    async def read_form(self, largest: int) -> None:
        """Read a form of at most `largest` bytes. Raises BadRequestError."""
        headers = self.request.headers
        length = headers.get("content-length", "")
        if "transfer-encoding" in headers or not (_LENGTH.fullmatch(length) and int(length) <= largest):
            raise BadRequestError(f"a form of this page has a content-length, at most {largest} bytes")
        if not _is_utf8(headers.get("content-type", "")):
            raise BadRequestError("a form of this page is in UTF-8")
        try:
            sent = await self.request.form(max_files=1, max_fields=50)
        except (MultiPartException, HTTPException):
            raise BadRequestError("this is not a form of this page") from None
        except OSError as error:  # a large file is kept on disk while it comes in
            raise BadRequestError(f"the file cannot be kept: {error.strerror}") from None
        texts = {name: value for name, value in sent.items() if isinstance(value, str)}
        uploads = [value for value in sent.values() if isinstance(value, UploadFile)]
        self.form = Form(texts, await uploads[0].read() if uploads else None)
        self._has_form = True
        await sent.close()

    @property
    def here(self) -> str:
        """The path and query of this request, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """Render a document of the page. The context has what `base.html` needs around each document, too."""
        runtime, clock = self.runtime, self.runtime.clock
        # A page that the script fetches again does not use up the message.
        message = None if "x-live" in self.request.headers else self._message()
        frame = {
            "now": clock.now(),
            "wall": clock.wall(),
            "apart": beside_real(clock.now(), clock.wall()),
            "mode": clock.mode,
            "profile": runtime.config.profile,
            "version": __version__,
            "event": self.event,
            "active_faults": sum(not fault.is_used_up for fault in runtime.fault_plan.active.values()),
            "here": self.here if self.request.method == "GET" else HOME,
            "path": self.request.url.path,
            "has_lock": self._needs_token,
            "said": message,
            "problem": "",
        }
        response = render(template, frame | context, status)
        if message is not None:
            response.delete_cookie(cookie_name(self.request, "said"), path="/_fake", httponly=True, samesite="strict")
        return response

    def refuse(self, status: int, reason: str) -> Response:
        """A document that says why the request is refused; for what does not exist, with the ways to look further."""
        return self.show("missing.html" if status == _NOT_FOUND else "refused.html", status, reason=reason)

    def go(self, path: str, message: str, *, problem: bool = False) -> Response:
        """Send the browser to a path of the page, which shows the message once."""
        response = RedirectResponse(path, 303)
        cookie = quote(json.dumps({"text": message[:_LONGEST_MESSAGE], "problem": problem}))
        response.set_cookie(
            cookie_name(self.request, "said"), cookie, max_age=30, path="/_fake", httponly=True, samesite="strict"
        )
        return response

    def back(self, message: str, *, problem: bool = False) -> Response:
        """Send the browser back to the page of its form; without a form, refuse."""
        return self.go(self.form.back, message, problem=problem) if self._has_form else self.refuse(400, message)

    def _message(self) -> dict[str, Any] | None:
        """The message that the last action left for this document."""
        try:
            said = read_json(unquote(self.request.cookies.get(cookie_name(self.request, "said"), "")))
        except BadDocumentError:
            return None
        is_message = isinstance(said, dict) and isinstance(said.get("text"), str)
        return {"text": said["text"], "problem": bool(said.get("problem"))} if is_message else None


def _is_utf8(content_type: str) -> bool:
    """Whether a form is in UTF-8, as browsers send it. Another name may be any codec of Python, also one of no text."""
    _, options = parse_options_header(content_type)
    return options.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8")
