"""Section 12: subscribing and renewing; what is sent then is in test_notices."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = [core, needs("subscriptions")]

URL = "http://127.0.0.1:9/hook"

#: Fields that ask for no time.
UNTIMED: tuple[dict[str, int], ...] = ({}, {"ttlSeconds": 0}, {"ttlSeconds": -60})


@checks("U1.1", "U1.2", "R10.1", "R23.7")
@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        *(pytest.param(fields, 300, marks=checks("U1.3")) for fields in UNTIMED),
        *(pytest.param(fields, 60, marks=checks("P9.1")) for fields in UNTIMED),
        ({"ttlSeconds": 1}, 1),
        ({"ttlSeconds": 60}, 60),
        ({"ttlSeconds": 31_536_000}, 31_536_000),
    ],
)
def test_a_subscription_has_an_id_and_an_end(contract: CaseContext, fields: dict[str, int], seconds: int) -> None:
    reply = contract.worker.subscribe(callbackUrl=URL, eventTypes=[contract.command()], **fields)
    assert (reply.status, list(reply.json)) == (200, ["expiresAt", "subscriptionId"])
    assert contract.lies_after(reply, seconds, reply.json["expiresAt"])


@checks("U1.4", "U1.5", "U1.6", "U1.7")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid body"),
        ({"callbackUrl": ""}, "invalid body"),
        ({"callbackUrl": "ftp://x"}, "invalid callback url"),
        ({"callbackUrl": "http://"}, "invalid callback url"),
        ({"callbackUrl": "http:///path"}, "invalid callback url"),
        ({"callbackUrl": "//127.0.0.1/path"}, "invalid callback url"),
        ({"callbackUrl": "/path"}, "invalid callback url"),
        ({"callbackUrl": "http://127.0.0.1:x/"}, "invalid callback url"),
        ({"callbackUrl": URL, "deliveryMode": "GROUP"}, "invalid deliveryMode"),
        ({"callbackUrl": URL, "deliveryMode": "GROUP", "groupId": "g"}, "invalid deliveryMode"),
        ({"callbackUrl": URL, "deliveryMode": "first"}, "invalid deliveryMode"),
        ({"callbackUrl": URL, "deliveryMode": "group"}, "groupId is required"),
        ({"callbackUrl": URL, "deliveryMode": "group", "groupId": ""}, "groupId is required"),
    ],
)
def test_a_subscription_that_cannot_be_served_is_refused(
    contract: CaseContext, fields: dict[str, Any], error: str
) -> None:
    assert contract.worker.subscribe(**fields).refusal == (400, error)


@checks("U1.5", "U1.6", "U1.7")
@pytest.mark.parametrize(
    "fields",
    [
        {"callbackUrl": "HTTPS://127.0.0.1"},
        {"deliveryMode": ""},
        {"deliveryMode": "fanout"},
        {"deliveryMode": "hash"},
        {"deliveryMode": "group", "groupId": "g"},
        {"groupId": "g"},
    ],
)
def test_a_subscription_may_have_any_url_and_mode(contract: CaseContext, fields: dict[str, str]) -> None:
    given = {"callbackUrl": URL, "eventTypes": [contract.command()], **fields}
    assert contract.worker.subscribe(**given).status == 200


@checks("U1.11")
@needs("minting")
def test_the_event_types_of_the_token_are_not_consulted(contract: CaseContext) -> None:
    narrow = contract.new_worker(eventTypes=[contract.command()])
    assert narrow.subscribe(callbackUrl=URL, eventTypes=[contract.command()]).status == 200


@checks("U2.1", "U2.3", "R11.1")
def test_a_subscription_is_renewed_until_it_is_unknown(contract: CaseContext) -> None:
    made = contract.worker.subscribe(callbackUrl=URL, eventTypes=[contract.command()]).json["subscriptionId"]
    for fields, seconds in (
        ({"ttlSeconds": 900}, 900),
        ({"ttlSeconds": 60}, 60),
        ({"ttlSeconds": 30}, 30),
    ):
        contract.clock.sleep(0.01)
        reply = contract.worker.renew(made, **fields)
        assert (reply.status, list(reply.json)) == (200, ["expiresAt", "subscriptionId"])
        assert reply.json["subscriptionId"] == made
        assert contract.lies_after(reply, seconds, reply.json["expiresAt"])
    assert contract.worker.renew("none").refusal == (404, "not-found")


@pytest.mark.parametrize("seconds", [pytest.param(300, marks=checks("U2.2")), pytest.param(60, marks=checks("P9.2"))])
def test_a_renewal_that_asks_for_no_time_has_the_usual_one(contract: CaseContext, seconds: int) -> None:
    made = contract.worker.subscribe(callbackUrl=URL, eventTypes=[contract.command()]).json["subscriptionId"]
    for fields in UNTIMED:
        contract.worker.renew(made, ttlSeconds=900)
        reply = contract.worker.renew(made, **fields)
        assert contract.lies_after(reply, seconds, reply.json["expiresAt"])


@checks("U2.5")
@needs("many_workers")
def test_any_worker_may_renew_a_subscription(contract: CaseContext) -> None:
    made = contract.worker.subscribe(callbackUrl=URL, eventTypes=[contract.command()]).json["subscriptionId"]
    reply = contract.worker2.renew(made, ttlSeconds=60)
    assert (reply.status, reply.json["subscriptionId"]) == (200, made)
    assert contract.lies_after(reply, 60, reply.json["expiresAt"])
