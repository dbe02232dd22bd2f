"""`with codeq.faults(...)`: active inside, removed at the end, and unmatched rules are reported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake import faults
from codeq_fake.control import BadRequestError
from tests.faults.support import TASKS, claim, create

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ


def test_the_faults_end_with_the_context_even_with_an_error(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with pytest.raises(ZeroDivisionError), codeq.faults(faults.refuse()):
        raise ZeroDivisionError
    assert create(http).status_code == 202


def test_an_unmatched_rule_is_reported_with_what_there_was(codeq: FakeCodeQ, http: httpx.Client) -> None:
    told = "the fault rule refuse on=claim worker=w-9 has met nothing; meanwhile there was 2 create, 1 claim"

    def story() -> None:
        with codeq.faults(faults.refuse(on="claim", worker="w-9")):
            create(http)
            create(http)
            claim(http)

    with pytest.warns(faults.FaultNotMetWarning) as warned:
        story()
    assert [str(one.message) for one in warned] == [told]
    assert warned[0].filename == __file__


def test_an_nth_that_is_never_reached_is_reported(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with pytest.warns(faults.FaultNotMetWarning, match="met 1 of the 3"), codeq.faults(faults.refuse(nth=3)):
        create(http)


def test_a_plain_object_is_a_rule_too(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults({"on": "create", "do": "refuse", "status": 418}):
        assert create(http).status_code == 418


def test_a_bad_rule_is_refused_at_once_and_none_is_active(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with pytest.raises(BadRequestError, match="'complet' is not an operation or a route; known are claim, create"):
        codeq.faults(faults.refuse(), faults.drop_reply(on="complet"))
    assert create(http).status_code == 202


def test_the_report_of_a_failed_test_lists_faults(codeq: FakeCodeQ, http: httpx.Client) -> None:
    with codeq.faults(faults.reset(times=1)), pytest.raises(httpx.ReadError):
        create(http)
    assert "fault 12:00:00  reset on POST /v1/codeq/tasks by producer-dev -> no reply" in codeq.timeline()


def test_it_works_in_coroutines_and_with_other_clients_of_the_application(codeq: FakeCodeQ) -> None:
    async def story() -> None:
        transport = httpx.ASGITransport(codeq.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            http.headers["authorization"] = "Bearer dev-token"
            with codeq.faults(faults.reset()), pytest.raises(httpx.ReadError):
                await http.post(TASKS, json={"command": "A", "payload": 1})

    asyncio.run(story())
