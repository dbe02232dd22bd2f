"""Calls a running fake through its control API. Errors name the cause and the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias
from urllib.parse import quote

import click

from codeq_fake.compat.httpx import load as load_httpx
from codeq_fake.serving.terminal_text import without_password

from .options import control_token
from .output import FAILED, MISUSED, Answer, exit_with

if TYPE_CHECKING:
    import httpx

#: The longest time that a fake may take to answer (s).
PATIENCE = 30.0
#: The longest time to connect to it (s).
_CONNECT_TIMEOUT = 5

_BAD_REQUEST, _UNAUTHORIZED = 400, 401

#: What a command reads of a JSON value: a type, an object of members (optional ones end with `?`), a list of items that
#: are all of the shape in it, or a tuple of alternatives.
Shape: TypeAlias = "type | UnionType | Mapping[str, Shape] | list[Shape] | tuple[Shape, ...]"

#: What `Fake.task_id` reads of a task.
TASK_NAME: Mapping[str, Shape] = {"id": str, "command": str, "status": str}
#: A text of this length is no beginning of an id, but a whole one.
_WHOLE_ID = 36
_MOST_GUESSES = 20

_NO_TEXT = "an argument is not text in the encoding of this session; try LC_ALL=C.UTF-8"


class Fake:
    """A running fake. A call returns the JSON object of the reply, or ends the program with the reason.

    A reply without the `shape` that the command reads is one of something else than a fake.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        #: Its URL for messages.
        self.name = without_password(self._url)
        self._not_a_fake = f"{self.name} does not answer as a CodeQ fake of this version does"
        # In UTF-8, which a fake expects in a token that is not ASCII.
        self._headers = {b"authorization": f"Bearer {token}".encode(errors="surrogateescape")} if token else {}

    def now(self) -> int:
        """The time of its clock (ns)."""
        from codeq_fake import wire  # noqa: PLC0415 - --help loads no rules

        try:
            return wire.parse_rfc3339(self.get("/clock", {"now": str})["now"])
        except wire.BadTime:
            exit_with(self._not_a_fake, FAILED)

    def task_id(self, beginning: str) -> str:
        """The id of the task that begins with a text, or the text if none does. Ends the program if several do."""
        if len(beginning) >= _WHOLE_ID:
            return beginning
        reply = self.get("/tasks", {"tasks": [TASK_NAME]}, id=beginning, limit=_MOST_GUESSES)
        tasks = {task["id"]: task for task in reply["tasks"]}
        if beginning in tasks or not tasks:
            return beginning
        if len(tasks) > 1:
            exit_with(f"{beginning} is the beginning of several ids: {_listed(tasks.values())}", MISUSED)
        return str(next(iter(tasks)))

    def only_task(self, state: str) -> str:
        """The id of the only task in a state. Ends the program if there is none, or if there are several."""
        tasks = self.get("/tasks", {"tasks": [TASK_NAME]}, state=state, limit=_MOST_GUESSES)["tasks"]
        if not tasks:
            exit_with(f"no task is {state}", FAILED)
        if len(tasks) > 1:
            exit_with(f"several tasks are {state}, give the beginning of an id: {_listed(tasks)}", MISUSED)
        return str(tasks[0]["id"])

    def get(self, path: str, shape: Shape, /, **query: str | int | None) -> dict[str, Any]:
        """A GET call; arguments that are None are left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.call("GET", path, shape, params=params)

    def call(
        self,
        method: str,
        path: str,
        shape: Shape,
        body: object = None,
        *,
        patience: float | None = PATIENCE,
        **how: Any,
    ) -> dict[str, Any]:
        """One control call. `patience` (s) is the longest time to wait for the reply, None for ever."""
        load_httpx()
        import httpx  # noqa: PLC0415 - takes a tenth of a second that --help saves

        try:
            timeout = httpx.Timeout(patience, connect=_CONNECT_TIMEOUT)
            # To load the certificates takes longer than the call. No proxy: a fake is on this machine or near it.
            verify = self._url.lower().startswith("https:")
            with httpx.Client(timeout=timeout, trust_env=False, verify=verify, headers=self._headers) as client:
                answer = client.request(method, f"{self._url}/_fake{path}", json=body, **how)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            exit_with(f"{self.name!r} is not a URL; give one such as http://127.0.0.1:8080 with --url", MISUSED)
        except httpx.HTTPError as error:
            exit_with(self._why_unanswered(error, patience), FAILED)
        except UnicodeEncodeError:
            exit_with(_NO_TEXT, MISUSED)
        reply = self._read(answer)
        if not _fits(reply, shape):
            exit_with(self._not_a_fake, FAILED)
        return reply

    def _why_unanswered(self, error: httpx.HTTPError, patience: float | None) -> str:
        import httpx  # noqa: PLC0415 - as above

        if isinstance(error, httpx.ReadTimeout):
            return f"{self.name} has not answered for {patience:g} s; is it stopped, or advancing its clock?"
        return (
            f"no reply from {self.name} ({str(error) or type(error).__name__}); start a fake with "
            "`codeq-fake serve`, or give its URL with --url or CODEQ_BASE_URL"
        )

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        """The JSON object in a reply. Ends the program if there is none, or if the fake refused the call."""
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            body = None
        if not (answer.is_success and isinstance(body, dict)):
            self._refuse(answer, body)
        return body

    def _refuse(self, answer: httpx.Response, body: object) -> NoReturn:
        """End the program with the fake's reason for a refusal, and with a remedy if there is a usual one."""
        reason = body.get("error") if isinstance(body, dict) else None
        if not isinstance(reason, str):
            exit_with(self._why_no_fake(answer), FAILED)
        remedy = ""
        if answer.status_code == _UNAUTHORIZED:
            remedy = "; give it with --control-token or CODEQ_FAKE_CONTROL_TOKEN"
        elif reason.startswith("no task "):
            remedy = "; `codeq-fake tasks` lists all tasks"
        exit_with(f"{self.name}: {reason}{remedy}", MISUSED if answer.status_code == _BAD_REQUEST else FAILED)

    def _why_no_fake(self, answer: httpx.Response) -> str:
        text = " ".join(answer.text.split())[:60]
        return (
            f"{self.name} has no control API of a CodeQ fake: it answers {answer.status_code} {text!r}; the real "
            "server has none, and neither has a fake with --no-control, or one for other machines without "
            "--control-token"
        )


def _listed(tasks: Iterable[dict[str, Any]]) -> str:
    return ", ".join(f"{task['id']} ({task['command']}, {task['status']})" for task in tasks)


def _fits(value: object, shape: Shape) -> bool:
    """Whether a JSON value has a shape. Members that the shape does not name may be anything."""
    if isinstance(shape, tuple):
        return any(_fits(value, alternative) for alternative in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if isinstance(shape, Mapping):
        return isinstance(value, dict) and all(_fits_member(value, *member) for member in shape.items())
    return isinstance(value, shape)


def _fits_member(value: dict[str, Any], name: str, shape: Shape) -> bool:
    key = name.removesuffix("?")
    return _fits(value[key], shape) if key in value else key != name


def in_path(text: str) -> str:
    """Any id as a part of a path. Ends the program for one that is no Unicode text."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        exit_with(_NO_TEXT, MISUSED)


class Target(NamedTuple):
    """The fake that a command calls, and whether it prints JSON."""

    fake: Fake
    as_json: bool


def fake_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--url`, `--control-token` and `--json` to a command, which gets them as a Target."""

    @click.option(
        "--url", envvar="CODEQ_BASE_URL", default="http://127.0.0.1:8080", show_default=True, help="URL of the fake."
    )
    @control_token("token", help="Bearer token for its control API.")
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as one line of JSON.")
    @wraps(command)
    def with_options(*, url: str, token: str | None, as_json: bool, **arguments: Any) -> None:
        command(Target(Fake(url, token), as_json), **arguments)

    return with_options


def calls_fake(command: Callable[..., Answer]) -> Callable[..., None]:
    """Make a command of a function: it gets the fake that the options name, and its answer is printed."""

    @fake_options
    @wraps(command)
    def call(target: Target, **arguments: Any) -> None:
        answer = command(target.fake, **arguments)
        if target.as_json:
            click.echo(json.dumps(answer.reply))
        else:
            answer.show()

    return call
