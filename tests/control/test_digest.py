"""The digest of a jump of the clock: what the reply of an advance says was due."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_fake.core.durations import in_words
from codeq_fake.core.times import SECOND
from codeq_fake.testing import FakeCodeQ

HOUR = {"seconds": 3600}


def advanced(fake: FakeCodeQ, body: dict[str, Any]) -> dict[str, Any]:
    with fake.client() as http:
        reply: dict[str, Any] = http.post("/_fake/clock/advance", json=body).json()
    return reply


def test_a_jump_tells_leases_delays_and_callbacks_that_were_due_on_the_way() -> None:
    with FakeCodeQ(now="2026-01-31T12:00:00Z", webhooks={"http://app.test": _down}) as fake, fake.client() as http:
        for delay in (10, 3600, 3601):
            fake.enqueue("RENDER", delay=delay)
        task = fake.enqueue("PACK", webhook="http://app.test/done")
        leased = fake.enqueue("PACK")
        assert fake.claim("PACK") is not None
        assert fake.claim("PACK") is not None
        http.post(f"/v1/codeq/tasks/{task.id}/result", json={"status": "FAILED", "error": "torn"})
        assert fake.task(leased.id).status == "IN_PROGRESS"
        reply = advanced(fake, HOUR)
        assert reply["happened"] == {"leasesOver": 1, "delaysDue": 2, "callbacksTried": 4}
        assert reply["digest"] == "+1 h: 1 lease over, 2 delays due, 4 callbacks tried"
        assert advanced(fake, {"to": "2026-01-31T13:00:00.5Z"})["digest"] == "+500 ms: nothing was due"


async def _down(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.041, "41 ms"),
        (2.5, "2.5 s"),
        (59, "59 s"),
        (90, "1 min 30 s"),
        (3601, "1 h"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert in_words(round(seconds * SECOND)) == text
