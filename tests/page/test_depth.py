"""The depth of the queues over the time of the fake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.page.support import TASKS, text

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ


def tell(fake: FakeCodeQ) -> None:
    """In 120 s, two tasks of one queue and one of another: one is claimed after 29.5 s and dies after 60 s."""
    fake.enqueue("A", tenant="dev", max_attempts=1)
    fake.enqueue("A", tenant="dev", delay=500)
    fake.enqueue("B", tenant="acme")
    with fake.client() as http:
        fake.advance(seconds=29.5)
        task = http.post(f"{TASKS}/claim", json={"commands": ["A"]}).json()
        fake.advance(seconds=30.5)
        http.post(f"{TASKS}/{task['id']}/nack", json={})
    fake.advance(seconds=60)


def test_each_queue_has_a_line_for_each_state(fake: FakeCodeQ, browser: httpx.Client) -> None:
    tell(fake)
    lines = re.findall('<path d="([^"]+)"', browser.get("/_fake/page/depth").text)
    assert lines[:4] == [  # all queues: of three tasks, one is delayed
        "M0 0.0H30V15.0H120",
        "M0 0.0H120",
        "M0 30.0H30V0.0H60V30.0H120",
        "M0 30.0H60V0.0H120",
    ]
    assert lines[8:] == ["M0 0.0H30V30.0H120", "M0 0.0H120", "M0 30.0H30V0.0H60V30.0H120", "M0 30.0H60V0.0H120"]


def test_the_depths_are_shown(fake: FakeCodeQ, browser: httpx.Client) -> None:
    assert browser.get("/_fake/page/depth").status_code == 200
    tell(fake)
    assert "/_fake/page/depth" in browser.get("/_fake/").text
    shown = text(browser.get("/_fake/page/depth").text)
    assert "From 12:00:00 to 12:02:00, 2 min of the fake's time." in shown
    assert "A dev 0 now, at most 1 1 now, at most 1 0 now, at most 1 1 now, at most 1" in shown
