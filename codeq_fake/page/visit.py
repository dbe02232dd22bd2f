"""One request of a browser: what it sent, and the ways to answer it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import RedirectResponse

from codeq_fake.control import BadRequestError
from codeq_fake.control.arguments import whole
from codeq_fake.version import VERSION

from .access import cookie_name
from .data import next_event
from .rendering import document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from codeq_fake.control import Controls
    from codeq_fake.runtime.fake_server import Runtime

HOME = "/_fake/"

#: How much of what an act has done is said in the document that the browser loads next.
_LONGEST_WORD = 1000

#: The largest form (bytes): a state is about as large as the largest that the control API reads.
_LARGEST_FORM = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: texts, and a file if it has one."""

    texts: Mapping[str, str]
    file: bytes | None = None

    def text(self, name: str) -> str:
        """A field's text, empty when it was not sent."""
        return self.texts.get(name, "")

    @property
    def back(self) -> str:
        """Where to go afterwards: a place of this page, and no other."""
        return _inside(self.text("back"))


class Visit:
    """One request and the fake that it is about."""

    def __init__(self, request: Request, runtime: Runtime, controls: Controls, *, has_lock: bool) -> None:
        self.request = request
        self.runtime = runtime
        self.controls = controls
        self._has_lock = has_lock
        self._form: Form | None = None

    def text(self, name: str) -> str:
        """A value of the query, empty when it is not there."""
        return self.request.query_params.get(name, "")

    def number(self, name: str, default: int = 0) -> int:
        """A whole number of the query. Raises BadRequestError."""
        return whole(self.text(name), name) if self.text(name) else default

    async def form(self, largest: int = _LARGEST_FORM) -> Form:
        """The form that was sent, of at most so many bytes. Raises BadRequestError."""
        if self._form is None:
            length = self.request.headers.get("content-length", "")
            if not (length.isascii() and length.isdecimal() and int(length[:18]) <= largest):
                raise BadRequestError(f"a form of this page says how long it is, at most {largest} bytes")
            try:
                sent = await self.request.form(max_files=1, max_fields=50)
            except (MultiPartException, HTTPException):
                raise BadRequestError("this is no form of this page") from None
            except OSError as error:  # a large file is kept on disk while it comes in
                raise BadRequestError(f"the file cannot be kept: {error.strerror}") from None
            texts = {name: value for name, value in sent.items() if isinstance(value, str)}
            uploads = [value for value in sent.values() if isinstance(value, UploadFile)]
            self._form = Form(texts, await uploads[0].read() if uploads else None)
            await sent.close()
        return self._form

    @property
    def here(self) -> str:
        """The path and query of this request, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """A document of the page."""
        runtime, clock = self.runtime, self.runtime.clock
        live = "x-live" in self.request.headers
        said = self._said() if not live else None
        frame = {
            "now": clock.now(),
            "wall": clock.wall(),
            "mode": clock.mode,
            "profile": runtime.config.profile,
            "version": VERSION,
            "event": next_event(runtime),
            "here": self.here if self.request.method == "GET" else HOME,
            "path": self.request.url.path,
            "has_lock": self._has_lock,
            "said": said,
            "problem": "",
        }
        response = document(template, frame | context, status)
        if said is not None:
            response.delete_cookie(cookie_name(self.request, "said"), path="/_fake", httponly=True, samesite="strict")
        return response

    def refuse(self, status: int, reason: str) -> Response:
        """A document that says no."""
        return self.show("refused.html", status, reason=reason)

    def go(self, where: str, said: str, *, problem: bool = False) -> Response:
        """Send the browser to a place of the page, which says what was done."""
        response = RedirectResponse(where, 303)
        word = quote(json.dumps({"text": said[:_LONGEST_WORD], "problem": problem}))
        response.set_cookie(
            cookie_name(self.request, "said"), word, max_age=30, path="/_fake", httponly=True, samesite="strict"
        )
        return response

    def back(self, said: str, *, problem: bool = False) -> Response:
        """Send the browser back to where its form was, or show the problem where there is no form."""
        if self._form is None:
            return self.refuse(400, said)
        return self.go(self._form.back, said, problem=problem)

    def _said(self) -> dict[str, Any] | None:
        try:
            word = json.loads(unquote(self.request.cookies.get(cookie_name(self.request, "said"), "")))
        except ValueError:
            return None
        known = isinstance(word, dict) and isinstance(word.get("text"), str)
        return {"text": word["text"], "problem": bool(word.get("problem"))} if known else None


def _inside(path: str) -> str:
    """A path below ``/_fake/``, or the page's first."""
    return path if path.startswith(HOME) else HOME
