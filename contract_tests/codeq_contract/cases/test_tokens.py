"""Section 3: static and signed tokens, and the tenant of a caller."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest

from codeq_contract.driver import ADMIN, TASKS, Answer
from codeq_contract.driver.identities import producer, worker
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.suite.case import checks, core, needs, timed
from codeq_contract.suite.case_context import CaseContext

NO_BASE64 = "token is malformed: could not base64 decode"
NO_JSON = "token is malformed: could not JSON decode"
NO_ALGORITHM = "token is unverifiable: signing method (alg) is unspecified"
KEYFUNC = "token is unverifiable: error while executing keyfunc"


def jwt(header: bytes, claims: bytes = b"{}") -> str:
    """A token with these parts and a signature that no key made."""
    return f"{urlsafe_b64encode(header).decode().rstrip('=')}.{urlsafe_b64encode(claims).decode().rstrip('=')}.e30"


def signed_by(key_id: bytes, algorithm: bytes = b"RS256") -> bytes:
    """The header of a token, which names this key in JSON."""
    return b'{"alg":"%b","kid":%b}' % (algorithm, key_id)


# Static tokens.


@core
@checks("A3.1", "A3.2", "A3.3", "A3.5", "A3.6", "A3.7", "A3.8", "A3.9")
def test_a_static_token_is_one_caller_with_the_rights_of_its_configuration(contract: CaseContext) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    raw = {"tenantId": tenant, "role": "admin"}
    rights = {"scopes": ["codeq:claim"], "eventTypes": [command], "raw": raw}
    settings = static({"token": " p-token ", "raw": raw}, {"token": "w-token", "subject": "w", **rights})
    with contract.server(settings) as server:
        anonymous, body = server.anonymous, {"command": command, "payload": 1}
        task = anonymous.post(TASKS, body, Authorization="Bearer p-token").json
        assert task["tenantId"] == tenant
        assert anonymous.post(TASKS, body, Authorization="Bearer   p-token").status == 202
        for other in ("w-token", "p-tokenx", "xp-token", "p-toke", "P-TOKEN", "a.b.c"):
            assert anonymous.post(TASKS, body, Authorization=f"Bearer {other}").refusal == (401, "invalid token")
        assert anonymous.get(f"{ADMIN}/queues", Authorization="Bearer p-token").status == 200
        of_worker, claim = {"Authorization": "Bearer w-token"}, f"{TASKS}/claim"
        claimed = anonymous.post(claim, {"commands": [command]}, **of_worker).json
        assert (claimed["id"], claimed["workerId"]) == (task["id"], "w")
        assert anonymous.post(claim, {}, Authorization="Bearer p-token").refusal == (401, "invalid token")
        assert anonymous.post(claim, {"commands": ["X"]}, **of_worker).refusal == (403, "event type not allowed")
        refused = anonymous.post(f"{TASKS}/{task['id']}/heartbeat", {}, **of_worker)
        assert refused.refusal == (403, "missing scope")


@core
@checks("A3.4", "A3.10")
def test_a_static_token_alone_is_the_subject_static(contract: CaseContext) -> None:
    command = contract.command()
    rights = {"subject": " ", "scopes": ["codeq:claim"], "eventTypes": ["*"]}
    with contract.server(static("p-token", {"token": "w", **rights})) as server:
        body = {"command": command, "payload": 1}
        task = server.anonymous.post(TASKS, body, Authorization="Bearer p-token").json
        assert task["tenantId"] == "static"
        claimed = server.anonymous.post(f"{TASKS}/claim", {"commands": [command]}, Authorization="Bearer w").json
        assert (claimed["id"], claimed["workerId"]) == (task["id"], "static")
        assert server.anonymous.get(f"{ADMIN}/queues", Authorization="Bearer p-token").status == 401


@core
@checks("A3.11")
def test_a_static_token_of_workers_needs_event_types(contract: CaseContext) -> None:
    with contract.server(static("p-token", {"token": "w", "scopes": ["codeq:claim"]})) as server:
        claim = server.anonymous.post(f"{TASKS}/claim", {}, Authorization="Bearer w")
        assert claim.refusal == (401, "missing eventTypes")
        assert server.anonymous.get(f"{TASKS}/none", Authorization="Bearer w").refusal == (401, "invalid token")
        assert server.anonymous.get(f"{TASKS}/none", Authorization="Bearer p-token").status == 404


# Signed tokens: header and signature.


@core
@pytest.mark.parametrize(
    "alg",
    [
        pytest.param("RS256", marks=checks("A4.1", "A4.29")),
        pytest.param("RS384", marks=checks("A4.2", "A4.29")),
        pytest.param("RS512", marks=checks("A4.3", "A4.29")),
    ],
)
def test_a_token_may_be_signed_in_three_ways(contract: CaseContext, alg: str) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    task = contract.new(replace(producer("p", tenant), alg=alg)).created(command)
    assert contract.new(replace(worker("w", tenant), alg=alg)).claimed(command)["id"] == task["id"]


@core
@pytest.mark.parametrize(
    "alg",
    [
        pytest.param("none", marks=checks("A4.4")),
        pytest.param("HS256", marks=checks("A4.5")),
        pytest.param("HS384", marks=checks("A4.5")),
        pytest.param("HS512", marks=checks("A4.5")),
        pytest.param("ES256", marks=checks("A4.22")),
        pytest.param("PS256", marks=checks("A4.22")),
        pytest.param("PS384", marks=checks("A4.22")),
        pytest.param("PS512", marks=checks("A4.22")),
    ],
)
def test_a_token_signed_in_another_way_is_refused(contract: CaseContext, alg: str) -> None:
    text = f"{KEYFUNC}: unexpected signing method: {alg}"
    assert contract.new(replace(producer("p", "t"), alg=alg)).create(contract.command()).refusal == (401, text)
    assert contract.new(replace(worker("w", "t"), alg=alg)).claim().refusal == (401, text)


@core
@checks("A4.6", "A4.7")
def test_a_token_of_no_key_or_of_an_unknown_key_is_refused(contract: CaseContext) -> None:
    nameless = contract.new(Identity("producer", {"sub": "p"}, kid=""))
    assert nameless.create(contract.command()).refusal == (401, f"{KEYFUNC}: missing kid in token header")
    for kid in ("k9", "K1", "k1 "):
        refused = contract.new(Identity("producer", {"sub": "p"}, kid=kid)).create(contract.command())
        assert refused.refusal == (401, f"{KEYFUNC}: key {kid} not found in JWKS")


@timed
@checks("A4.21")
@needs("webhooks")
def test_the_keys_are_fetched_once_and_kept_for_5_minutes(contract: CaseContext) -> None:
    assert contract.driver.issuer is not None
    url, keys = f"{contract.driver.hooks_origin}/keys", json.dumps(contract.driver.issuer.signer.jwks())
    config = json.loads(contract.driver.authentication["PRODUCER_AUTH_CONFIG"])
    config = {"jwksUrl": url, "issuer": config["issuer"], "audience": config["audience"]}
    with contract.server({"PRODUCER_AUTH_CONFIG": json.dumps(config)}) as server:
        hooks = server.driver.hooks
        hooks.answer("/keys", Answer(body=keys), Answer(body=keys))
        first = server.producer.create(server.command())
        grain = 0 if server.time_bounds.exact else SECOND
        for age, fetches in ((0, 1), (300 * SECOND - grain - 1, 1), (300 * SECOND + grain, 2)):
            server.clock.until(first.called + age)
            server.producer.created(server.command())
            server.new_producer().created(server.command())
            assert len(hooks.received("/keys")) == fetches, age


@core
@checks("A4.33")
@needs("minting")
def test_half_a_surrogate_pair_in_a_claim_is_read_as_a_replacement_character(contract: CaseContext) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    contract.new(producer("p", tenant)).created(command)
    task = contract.new(worker("w\ud800", tenant)).claimed(command)
    assert contract.new(worker("w\ufffd", tenant)).heartbeat(task).status == 200


@core
@checks("A4.8")
@needs("minting")
def test_a_forged_signature_is_refused(contract: CaseContext) -> None:
    forger = contract.new_producer(scope="codeq:admin")
    claims, signature = (contract.driver.tokens[str(caller.name)] for caller in (forger, contract.producer))
    forged = f"{claims.rpartition('.')[0]}.{signature.rpartition('.')[2]}"
    for token in (forged, f"{claims.rpartition('.')[0]}."):
        reply = contract.anonymous.get(f"{ADMIN}/queues", Authorization=f"Bearer {token}")
        assert reply.refusal == (401, "token signature is invalid: crypto/rsa: verification error")
    longer = contract.anonymous.get(f"{ADMIN}/queues", Authorization=f"Bearer {claims}x")
    assert longer.status == 401
    assert "signature" in longer.json["error"]


@core
@checks("A4.19")
def test_a_second_blank_makes_a_signed_token_malformed(contract: CaseContext) -> None:
    for route, token in ((TASKS, "{token:producer}"), (f"{TASKS}/claim", "{token:worker}")):
        for header in (f"Bearer  {token}", f"Bearer {token} x"):
            status, text = contract.anonymous.post(route, {}, Authorization=header).refusal
            assert (status, text[:18]) == (401, "token is malformed")


@core
@checks("A4.20")
@pytest.mark.parametrize("token", ["nonsense", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30.e30"])
def test_a_token_that_is_no_jwt_is_refused(contract: CaseContext, token: str) -> None:
    for path in (TASKS, f"{TASKS}/batch", f"{TASKS}/claim", f"{TASKS}/none/heartbeat"):
        assert contract.anonymous.post(path, {}, Authorization=f"Bearer {token}").status == 401


@core
@checks("A4.32")
@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("nonsense", "token is malformed: token contains an invalid number of segments"),
        ("a.b.c", f"{NO_BASE64} header: illegal base64 data at input byte 0"),
        ("aGVsb.e30.e30", f"{NO_BASE64} header: illegal base64 data at input byte 4"),
        ("e30=.e30.e30", f"{NO_BASE64} header: illegal base64 data at input byte 3"),
        ("a+.e30.e30", f"{NO_BASE64} header: illegal base64 data at input byte 1"),
        ("e30.a+.e30", f"{NO_BASE64} claim: illegal base64 data at input byte 1"),
        ("eyJhbGciOiJSUzI1NiJ9.e30.a+", f"{NO_BASE64} signature: illegal base64 data at input byte 1"),
        (jwt(b"[]"), f"{NO_JSON} header: json: cannot unmarshal array into Go value of type map[string]interface {{}}"),
        (jwt(b"{}", b"[]"), f"{NO_JSON} claim: json: cannot unmarshal array into Go value of type jwt.MapClaims"),
        (jwt(b"{}", b'"{}"'), f"{NO_JSON} claim: json: cannot unmarshal string into Go value of type jwt.MapClaims"),
        (jwt(b"{}", b"true"), f"{NO_JSON} claim: json: cannot unmarshal bool into Go value of type jwt.MapClaims"),
        (jwt(b"{}", b" 7"), f"{NO_JSON} claim: json: cannot unmarshal number into Go value of type jwt.MapClaims"),
        (jwt(b" "), f"{NO_JSON} header: unexpected end of JSON input"),
        (jwt(b'\r\n{"alg"'), f"{NO_JSON} header: unexpected end of JSON input"),
        (jwt(b"\tx"), f"{NO_JSON} header: invalid character 'x' looking for beginning of value"),
        (jwt(b"{}"), NO_ALGORITHM),
        (jwt(b"null", b"null"), NO_ALGORITHM),
        (jwt(b'{"alg":7}'), NO_ALGORITHM),
        (jwt(b'{"alg":"None"}'), "token is unverifiable: signing method (alg) is unavailable"),
        (jwt(signed_by(b"7")), f"{KEYFUNC}: missing kid in token header"),
        (jwt(signed_by(b'""')), f"{KEYFUNC}: missing kid in token header"),
        (jwt(signed_by(b'"\\ud800"')), f"{KEYFUNC}: key \ufffd not found in JWKS"),
        (jwt(signed_by(b'"\xff"')), f"{KEYFUNC}: key \ufffd not found in JWKS"),
        *(
            pytest.param(
                jwt(signed_by(b'"k1"', algorithm)),
                f"{KEYFUNC}: unexpected signing method: {algorithm.decode()}",
                marks=checks("A4.22"),
            )
            for algorithm in (b"ES384", b"ES512", b"EdDSA")
        ),
    ],
)
def test_the_text_for_a_token_that_is_no_jwt_says_what_is_wrong(contract: CaseContext, token: str, text: str) -> None:
    for path in (TASKS, f"{TASKS}/claim"):
        assert contract.anonymous.post(path, {}, Authorization=f"Bearer {token}").refusal == (401, text)


@core
@checks("A4.32")
def test_a_token_with_a_number_that_go_cannot_hold_is_no_json(contract: CaseContext) -> None:
    token = jwt(b'{"alg":"RS256","kid":"k1","x":1e999}')
    status, text = contract.anonymous.post(TASKS, {}, Authorization=f"Bearer {token}").refusal
    assert (status, text.startswith(f"{NO_JSON} header: ")) == (401, True)


# Signed tokens: claims.


@core
@checks("A4.9", "A4.18")
@pytest.mark.parametrize("issuer", ["nope", "CODEQ-TEST", "codeq-test/", "", None])
def test_a_token_of_another_issuer_is_refused(contract: CaseContext, issuer: str | None) -> None:
    text = f"invalid issuer: {issuer or ''}"
    assert contract.new_producer(iss=issuer).create(contract.command()).refusal == (401, text)
    assert contract.new_worker(iss=issuer).claim().refusal == (401, text)


@core
@checks("A4.10", "A4.28")
@pytest.mark.parametrize(
    ("audience", "shown"),
    [("nope", "nope"), ("codeq-producers", "codeq-producers"), (["a", "b"], "a b"), ([], ""), (7, ""), (None, "")],
)
def test_a_token_of_another_audience_is_refused(contract: CaseContext, audience: object, shown: str) -> None:
    reply = contract.new_producer(aud=audience).create(contract.command())
    assert reply.refusal == (401, f"invalid audience: [{shown}]")


@core
@checks("A4.11")
def test_one_of_several_audiences_is_enough(contract: CaseContext) -> None:
    for audiences in (["codeq-producer", "other"], ["other", 7, "codeq-producer"]):
        assert contract.new_producer(aud=audiences).create(contract.command()).status == 202


@core
@checks("A4.12", "A4.13")
def test_a_token_is_refused_outside_of_its_time(contract: CaseContext) -> None:
    now, invalid = contract.clock.now() // SECOND, "token has invalid claims: "
    for claims, text in (
        ({"exp": now - 10}, "token is expired"),
        ({"nbf": now + 1000}, "token is not valid yet"),
        ({"exp": now - 10, "nbf": now + 1000, "iss": "nope"}, "token is expired, token is not valid yet"),
    ):
        assert contract.new_producer(**claims).create(contract.command()).refusal == (401, invalid + text)
        assert contract.new_worker(**claims).claim().refusal == (401, invalid + text)


@core
@checks("A4.30")
@pytest.mark.parametrize("claim", ["exp", "nbf"])
def test_the_times_of_a_token_are_numbers(contract: CaseContext, claim: str) -> None:
    wrong: list[dict[str, Any]] = [{claim: "2000000000"}, {claim: True}, {claim: [7]}]
    for claims in wrong:
        refused = contract.new_producer(**claims).create(contract.command())
        text = f"token has invalid claims: invalid type for claim: {claim} is invalid"
        assert refused.refusal == (401, text)


@core
@checks("A4.31")
def test_an_end_of_0_is_over_and_a_beginning_of_0_is_none(contract: CaseContext) -> None:
    command = contract.command()
    assert contract.new_producer(exp=0).create(command).refusal == (401, "token expired")
    assert contract.new_worker(exp=0).claim(command).refusal == (401, "token expired")
    assert contract.new_producer(nbf=0).create(command).status == 202


@timed
@checks("A4.23", "A4.26")
def test_a_token_holds_from_its_first_to_its_last_moment(contract: CaseContext) -> None:
    now, command = contract.clock.now() // SECOND, contract.command()
    begin, end = now + contract.seconds(2), now + contract.seconds(4)
    caller = contract.new_producer(nbf=begin, exp=end)
    margin = MILLISECOND if contract.time_bounds.exact else round(0.25 * contract.seconds(1) * SECOND)
    contract.clock.until(begin * SECOND - margin)
    early = caller.create(command)
    contract.surely_before(early, begin * SECOND)
    assert early.refusal == (401, "token has invalid claims: token is not valid yet")
    contract.clock.until(begin * SECOND + (0 if contract.time_bounds.exact else margin))
    first = caller.create(command)
    contract.surely_before(first, end * SECOND)
    assert first.status == 202
    contract.clock.until(end * SECOND - margin)
    last = caller.create(command)
    contract.surely_before(last, end * SECOND)
    assert last.status == 202
    contract.clock.until(end * SECOND + (0 if contract.time_bounds.exact else margin))
    assert caller.create(command).refusal == (401, "token has invalid claims: token is expired")


@core
@checks("A4.14", "A4.15", "A4.27")
def test_a_token_may_lack_times_and_id_and_its_issue_is_not_looked_at(contract: CaseContext) -> None:
    later = contract.clock.now() // SECOND + 1000
    for claims in ({"exp": None}, {"iat": None, "jti": None}, {"iat": later}):
        assert contract.new_producer(**claims).create(contract.command()).status == 202
        assert contract.new_worker(**claims).claim(contract.command()).status == 204


@core
@checks("A4.16", "A4.24")
def test_scopes_are_separated_by_blanks(contract: CaseContext) -> None:
    caller = contract.new_worker(scope=" codeq:heartbeat  codeq:claim\tcodeq:nack ")
    assert caller.claim(contract.command()).status == 204
    assert caller.nack("none").status == 404
    assert caller.heartbeat("none").refusal == (500, "not-found")
    assert contract.new_worker(scope="codeq:claim,codeq:nack").claim().refusal == (403, "missing scope")
    for scope in (["codeq:claim"], {"codeq:claim": True}, 7):
        assert contract.new_worker(scope=scope).claim().refusal == (401, "missing scope")


@core
@checks("A4.17", "A4.25")
def test_event_types_are_an_array_of_texts(contract: CaseContext) -> None:
    command = contract.command()
    caller = contract.new_worker(eventTypes=[7, None, command])
    assert caller.claim(command).status == 204
    assert caller.claim("7").refusal == (403, "event type not allowed")
    for event_types in (command, f"A {command}", {command: True}, 7, [7]):
        assert contract.new_worker(eventTypes=event_types).claim(command).refusal == (401, "missing eventTypes")


# Tenants.

ALL = {"tenantId": "T1", "tenant_id": "t2", "organizationId": "t3", "organization_id": "t4"}


@core
@pytest.mark.parametrize(
    ("claims", "tenant"),
    [
        pytest.param(ALL, "T1", marks=checks("A9.1")),
        pytest.param({**ALL, "tenantId": None}, "t2", marks=checks("A9.2")),
        pytest.param({**ALL, "tenantId": None, "tenant_id": None}, "t3", marks=checks("A9.3")),
        pytest.param({"tenantId": None, "organization_id": "t4"}, "t4", marks=checks("A9.4")),
        pytest.param({**ALL, "tenantId": 7}, "t2", marks=checks("A9.5")),
        pytest.param(
            {"tenantId": 7, "tenant_id": ["x"], "organizationId": True, "organization_id": "t4"},
            "t4",
            marks=checks("A9.5"),
        ),
        pytest.param({"tenantId": " \tt1\n"}, "t1", marks=checks("A9.6")),
        pytest.param({"tenantId": "Zürich/東京 <1>"}, "Zürich/東京 <1>", marks=checks("A9.12")),
        pytest.param({"tenantId": None}, "subject", marks=checks("A9.7")),
        pytest.param({"tenantId": 7}, "subject", marks=checks("A9.7")),
        pytest.param({**ALL, "tenantId": " "}, "subject", marks=checks("A9.8")),
        pytest.param({"tenantId": None, "sub": " subject "}, "subject", marks=checks("A9.6")),
    ],
)
def test_the_tenant_is_the_first_claim_that_names_one(
    contract: CaseContext, claims: dict[str, Any], tenant: str
) -> None:
    command = contract.command()
    claims = {"sub": "subject", **claims}
    task = contract.new_producer(**claims).created(command)
    assert task["tenantId"] == tenant
    for other in ("another", tenant.swapcase()):
        assert contract.new_worker(tenant=other).claim(command).status == 204
    assert contract.new_worker(**claims).claimed(command)["id"] == task["id"]


@core
@checks("A9.9")
def test_without_a_tenant_a_producer_and_a_worker_do_not_meet(contract: CaseContext) -> None:
    command, name = contract.command(), contract.names.tenant()
    task = contract.new_producer(tenantId=None, sub=name).created(command)
    assert contract.new_worker(tenantId=None, sub=f"{name}-w").claim(command).status == 204
    assert contract.new_worker(tenantId=None, sub=name).claimed(command)["id"] == task["id"]


@core
@checks("A9.10", "A9.11")
def test_without_a_subject_a_task_has_no_tenant_and_a_claim_no_worker(contract: CaseContext) -> None:
    command = contract.command()
    for subject in (None, "", " "):
        nameless = contract.new_producer(sub=subject, tenantId=None)
        assert "tenantId" not in nameless.created(command)
    nameless = contract.new_worker(sub=None, tenantId=None)
    assert nameless.claim(command).refusal == (500, "workerId is required")
    assert nameless.claim_batch(command, count=1).refusal == (500, "workerId is required")


@core
@checks("A9.13", "A9.14")
def test_a_worker_without_subject_nacks_nothing_and_ends_what_others_hold(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    task = contract.worker.claimed(command)
    nameless = contract.new_worker(sub=None)
    for task_id in (task["id"], "none"):
        assert nameless.nack(task_id).refusal == (500, "workerId is required")
    assert nameless.submit(task).status == 200
    assert contract.worker.seen(task)["status"] == "COMPLETED"


def static(producers: object, workers: object) -> dict[str, str]:
    """The settings of static tokens."""
    return {
        "PRODUCER_AUTH_PROVIDER": "static",
        "PRODUCER_AUTH_CONFIG": json.dumps(producers),
        "WORKER_AUTH_PROVIDER": "static",
        "WORKER_AUTH_CONFIG": json.dumps(workers),
    }
