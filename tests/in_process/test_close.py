"""The handle FakeCodeQ ends without a trace."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import NOW, TASKS, Parked, fake_threads

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def test_closing_ends_the_thread_and_may_be_repeated(fake: FakeCodeQ) -> None:
    fake.close()
    fake.advance(1)
    assert fake_threads() == ["codeq-fake"]
    fake.close()
    fake.close()
    assert fake_threads() == []
    assert fake.now == "2026-01-31T12:00:01Z"


def test_closing_answers_who_waits(fake: FakeCodeQ, threads: ThreadPoolExecutor) -> None:
    parked = Parked(fake, threads, 2)
    fake.close()
    assert parked.statuses == [204, 204]


def test_a_closed_fake_can_be_used_again(fake: FakeCodeQ) -> None:
    fake.advance(1)
    fake.close()
    with fake.client() as http:
        assert http.post(TASKS, json={"command": "A", "payload": 1}).status_code == 202
    fake.advance(1)
    assert fake.now == "2026-01-31T12:00:02Z"


def test_two_fakes_have_nothing_in_common() -> None:
    with FakeCodeQ(now=NOW) as one, FakeCodeQ(now=NOW) as other, one.client() as http:
        http.post(TASKS, json={"command": "A", "payload": 1, "idempotencyKey": "k"})
        one.advance(60)
        assert (len(one.tasks()), other.tasks(), other.requests, other.now) == (1, [], [], NOW)
        with other.client() as there:
            there.post(TASKS, json={"command": "A", "payload": 2, "idempotencyKey": "k"})
        assert [task.payload for task in other.tasks()] == [2]


@pytest.mark.process
@pytest.mark.parametrize(
    "door", ["fake.client().get('/metrics')", "fake.advance(1)", "[served := fake.serve(), served.__enter__()]"]
)
def test_a_program_that_closes_nothing_ends_all_the_same(door: str) -> None:
    code = f"from codeq_fake.testing import FakeCodeQ; fake = FakeCodeQ(); kept = {door}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
