"""A fake that runs elsewhere, asked through its control API. What goes wrong is said with its cause and its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from .output import FAILED, MISUSED, exit_with

if TYPE_CHECKING:
    import httpx

#: How long a fake may take to answer (s).
PATIENCE = 30.0

_BAD_REQUEST, _UNAUTHORIZED = 400, 401


class Fake:
    """A running fake. Each call gives the reply's JSON object, or ends the program and says why there is none."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, /, **query: str | int | None) -> dict[str, Any]:
        """Look; what is None is not asked for."""
        return self.ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def ask(
        self, method: str, path: str, body: object = None, *, patience: float | None = PATIENCE, **how: Any
    ) -> dict[str, Any]:
        """One control call. ``patience`` (s) is how long its answer may take, None for any time."""
        import httpx  # noqa: PLC0415 - takes a quarter of a second, which --help need not

        try:
            timeout = httpx.Timeout(patience, connect=5)
            # No proxy: a fake is on this machine, or next to it.
            with httpx.Client(timeout=timeout, trust_env=False, headers=self._headers) as client:
                answer = client.request(method, f"{self.url}/_fake{path}", json=body, **how)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            exit_with(f"{self.url!r} is no URL; give one such as http://127.0.0.1:8080 with --url", MISUSED)
        except httpx.HTTPError as error:
            exit_with(self._why_unanswered(error, patience), FAILED)
        return self._read(answer)

    def _why_unanswered(self, error: httpx.HTTPError, patience: float | None) -> str:
        import httpx  # noqa: PLC0415 - as above

        if isinstance(error, httpx.ReadTimeout):
            return f"{self.url} has not answered for {patience:g} s; is it stopped, or advancing its clock?"
        return (
            f"nothing answers at {self.url} ({str(error) or type(error).__name__}); start a fake with "
            "`codeq-fake serve`, or say where it is with --url or CODEQ_BASE_URL"
        )

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not (answer.is_success and isinstance(found, dict)):
            self._refuse(answer, found)
        return found

    def _refuse(self, answer: httpx.Response, found: object) -> NoReturn:
        reason = found.get("error") if isinstance(found, dict) else None
        if not isinstance(reason, str):
            exit_with(self._why_no_fake(answer), FAILED)
        remedy = ""
        if answer.status_code == _UNAUTHORIZED:
            remedy = "; give it with --control-token or CODEQ_FAKE_CONTROL_TOKEN"
        elif reason.startswith("no task "):
            remedy = "; `codeq-fake tasks` lists what there is"
        exit_with(f"{self.url}: {reason}{remedy}", MISUSED if answer.status_code == _BAD_REQUEST else FAILED)

    def _why_no_fake(self, answer: httpx.Response) -> str:
        told = " ".join(answer.text.split())[:60]
        return (
            f"{self.url} has no control API of a CodeQ fake: it answers {answer.status_code} {told!r}; the real server "
            "has none, nor has a fake with --no-control, or one for other machines without --control-token"
        )


def in_path(text: str) -> str:
    """An id as a part of a path, whatever it holds."""
    return quote(text, safe="")
