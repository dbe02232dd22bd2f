"""Takes the pictures of the page in these documents, of a fake with something to see. `make pictures` runs it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import sync_playwright

from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from starlette.types import Receive, Scope, Send

_IMAGES = Path(__file__).parent / "images"
_TASKS = "/v1/codeq/tasks"
_CALLERS = {
    "shop": {"kind": "producer", "claims": {"sub": "shop", "tenantId": "acme"}},
    **{
        name: {
            "kind": "worker",
            "claims": {
                "sub": name,
                "tenantId": "acme",
                "eventTypes": ["*"],
                "scope": "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result",
            },
        }
        for name in ("w-crm", "w-render")
    },
}


class Receiver:
    """The webhook of an application, which is down for its first calls."""

    def __init__(self) -> None:
        self._calls = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a callback."""
        await receive()
        self._calls += 1
        status = 503 if self._calls < 3 else 204  # noqa: PLR2004 - the first two
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Take all pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with (
        FakeCodeQ(
            now="2026-01-31T12:00:00Z",
            seed=1,
            profile="redis",
            identities=_CALLERS,
            webhooks={"http://app.test": Receiver()},
        ) as fake,
        fake.serve(),
    ):
        task, request = _tell(fake)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium)
            for scheme in ("light", "dark"):
                _take(browser, fake.url, "/_fake/", f"page-{scheme}", height=900, color_scheme=scheme)
            _take(browser, fake.url, f"/_fake/page/task?id={task}", "page-task", height=1180)
            _take(browser, fake.url, "/_fake/page/tasks?sort=longest+in+its+state", "page-tasks", height=760)
            _take(browser, fake.url, f"/_fake/page/request?n={request}", "page-request", height=1360)
            _take(browser, fake.url, "/_fake/page/faults", "page-faults", height=860)
            _take(browser, fake.url, "/_fake/page/depth", "page-depth", height=560)
            browser.close()


def _take(browser: Browser, url: str, path: str, name: str, *, height: int, **options: Any) -> None:
    page = browser.new_page(base_url=url, viewport={"width": 1240, "height": height}, **options)
    page.goto(path)
    page.get_by_text("live", exact=True).wait_for()
    page.screenshot(path=_IMAGES / f"{name}.png")
    page.close()


@dataclass(frozen=True)
class Caller:
    """A program that calls the fake."""

    url: str
    token: str

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Send a request, and return its reply."""
        headers = {"authorization": f"Bearer {self.token}"}
        reply = httpx.post(f"{self.url}{_TASKS}{path}", json=body, headers=headers, timeout=60, trust_env=False)
        read: dict[str, Any] = reply.json() if reply.content else {}
        return read


def _tell(fake: FakeCodeQ) -> tuple[str, int]:
    """Half an hour of a shop: the id of a task with a long story, and the number of a refused request."""
    shop, crm, render = (Caller(fake.url, token) for token in _CALLERS)
    long_one = shop.post(
        "", command="RENDER", payload={"film": "Night on Earth", "scenes": [4, 5]}, webhook="http://app.test/rendered"
    )
    render.post("/claim", commands=["RENDER"], leaseSeconds=60)
    for _ in range(8):
        fake.advance(seconds=20)
        render.post(f"/{long_one['id']}/heartbeat", extendSeconds=60)
    render.post(f"/{long_one['id']}/nack", reason="the disk is full", delaySeconds=120)
    for number in range(24):
        shop.post(
            "",
            command=("SYNC_CRM", "SEND_MAIL", "RENDER")[number % 3],
            payload={"customer": 1000 + number, "mail": f"user{number}@example.com"},
            priority=number % 4 * 3,
            delaySeconds=number % 5 * 200,
        )
        fake.advance(seconds=11)
    render.post("/claim", commands=["RENDERER"])
    render.post("/claim", commands=["RENDERER"])
    render.post("/claim", commands=["RENDER"], leaseSeconds=300)
    doomed = shop.post("", command="SEND_MAIL", payload={"mail": "gone@example.com"}, maxAttempts=1, priority=9)
    crm.post("/claim", commands=["SEND_MAIL"])
    crm.post(f"/{doomed['id']}/nack", reason="mailbox unavailable")
    for lease in (90, 400, 700):
        crm.post("/claim", commands=["SYNC_CRM"], leaseSeconds=lease)
        fake.advance(seconds=31)
    crm.post(f"/{long_one['id']}/result", status="COMPLETED", result={})
    refused = fake.requests[-1]["n"]
    render.post(f"/{long_one['id']}/result", status="COMPLETED", result={"frames": 5760})
    fake.advance(seconds=45)
    return long_one["id"], refused


if __name__ == "__main__":
    main()
