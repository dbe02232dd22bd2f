"""Section 2: how request bodies are read."""

from __future__ import annotations

import json

import pytest

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.caller import exact
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

CLAIM, CLEAN_UP = f"{TASKS}/claim", f"{ADMIN}/tasks/cleanup"

#: This task does not exist, which is found out after its body was read.
NACK = f"{TASKS}/none/nack"

#: What is no value of JSON, although other readers take some of it for one.
NO_VALUES = (
    *("1.", ".5", "+1", "-", "1e", "1e+", "1.e1", "1e1.0", "--1", "0x1", "1_000", "\u0661", "1\u0661"),
    *("tru", "True", "nulll", "undefined", "'a'", "", ",", ":", "// c\n1", "1 1", "1\f", "\u00a01", "[1] 2"),
    *('"', '"a', '"\\"', r'"\x41"', r'"\u12"', r'"\u12g4"', r'"\u 123"', r'"\U0041"', '"a"b'),
    *("[", "]", "[1", "[1,", "[,1]", "[1 2]", "[1}", "[}", "{]", "{,}", '{"a"', '{"a":', '{"a"}', '{"a":}'),
    *('{"a":1', '{"a":1,', '{"a" 1}', '{"a";1}', "{a:1}", "{1:1}", "{null:1}", '{"a":1]', '{"a":1 "b":1}', '{"a":1;}'),
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"COMMAND":"%s","Payload":1}', marks=checks("B1.1")),
        pytest.param('{"command":"x","command":"%s","payload":2,"payload":1}', marks=checks("B1.3")),
        pytest.param('{"command":"x","Command":"%s","payload":1,"priority":5,"priority":0}', marks=checks("B1.3")),
        pytest.param('{"command":"%s","command":null,"payload":1}', marks=checks("B1.4")),
        pytest.param('{"command":"%s","payload":1,"priority":null}', marks=checks("B1.5")),
        pytest.param('{"command":"%s","payload":1,"delaySeconds":null,"webhook":null}', marks=checks("B1.5")),
        pytest.param('{"command":"%s","payload":1,"more":{"a":[]},"less":null}', marks=checks("B1.6")),
        pytest.param('{"command":"%s","payload":1,"more":{"command":[null,1e999]},"":"\\ud800"}', marks=checks("B1.6")),
        pytest.param('{"command":"%s","payload":1}} trailing', marks=checks("B1.14")),
        pytest.param(' \r\n\t{"command":"%s","payload":1}{"command":1}\0', marks=checks("B1.14")),
    ],
)
def test_a_body_is_read_leniently(contract: CaseContext, body: str) -> None:
    command = contract.command()
    reply = contract.producer.post(TASKS, body.replace("%s", command).encode())
    assert reply.status == 202
    assert (reply.json["command"], reply.json["payload"]) == (command, "1")
    assert reply.json["lastKnownLocation"] == "PENDING_LIST"
    assert not reply.json.keys() & {"priority", "webhook"}


@checks("B1.4")
def test_null_leaves_what_is_there(contract: CaseContext) -> None:
    body = b'{"command":"%s","payload":1,"priority":3,"priority":null,"webhook":"http://h.test","webhook":null}'
    task = contract.producer.post(TASKS, body.replace(b"%s", contract.command().encode())).json
    assert (task["priority"], task["webhook"]) == (3, "http://h.test")


@checks("B1.28")
def test_a_repeated_object_is_read_into_the_one_before(contract: CaseContext) -> None:
    for objects, kept in (
        (['{"a":1,"b":{"c":1}}', '{"b":{"d":2}}', "{}"], {"a": 1, "b": {"d": 2}}),
        (['{"a":1}', "null", '{"b":1e-7}'], {"b": 1e-7}),
        (['{"b":0.5}', '{"a":[],"a":null}'], {"a": None, "b": 0.5}),
    ):
        body = ",".join(['{"status":"COMPLETED"', *(f'"result":{each}' for each in objects)]) + "}"
        reply = contract.worker.post(f"{TASKS}/{contract.leased()['id']}/result", body.encode())
        assert (reply.status, exact(reply.json["result"])) == (200, exact(kept))


@checks("B1.28")
@needs("batch")
def test_a_repeated_list_is_read_into_the_one_before(contract: CaseContext) -> None:
    command = contract.command()
    task = f'{{"command":"{command}","payload":1,"maxAttempts":7}}'
    lists = [f"[{task},{task}]", '[{"payload":2}]', '[{"priority":3},null,{}]']
    body = "{" + ",".join(f'"tasks":{each}' for each in lists) + "}"
    first, second, third = contract.producer.post(f"{TASKS}/batch", body.encode()).json["results"]
    shown = [[item["task"].get(name) for name in ("payload", "priority", "maxAttempts")] for item in (first, second)]
    assert (shown, third) == ([["2", 3, 7], ["1", None, 7]], {"error": "invalid command"})
    lists = [f'["x","{command}"]', '["y"]', "[null,null]"]
    body = "{" + ",".join(f'"commands":{each}' for each in lists) + "}"
    claimed = contract.worker.post(CLAIM, body.encode()).json
    assert claimed["id"] == first["task"]["id"]
    contract.worker.abandon(claimed)
    batch = contract.worker.post(f"{CLAIM}/batch", body.replace("}", ',"count":1}').encode())
    assert [task["id"] for task in batch.json["tasks"]] == [claimed["id"]]


@checks("B1.29")
@needs("batch", "artifacts")
def test_null_empties_a_list_and_an_object(contract: CaseContext) -> None:
    task = contract.leased()
    path = f"{TASKS}/{task['id']}/result"
    emptied = contract.worker.post(path, b'{"status":"COMPLETED","result":{"a":1},"result":null}')
    assert emptied.refusal == (400, "result required when status=COMPLETED")
    body = b'{"status":"COMPLETED","result":{},"artifacts":[{"url":"http://h"}],"artifacts":null}'
    assert "artifacts" not in contract.worker.post(path, body).json
    body = b'{"command":"%s","payload":1,"payload":null}' % contract.command().encode()
    assert contract.producer.post(TASKS, body).refusal == (400, "invalid body")
    plain = contract.producer.post(f"{TASKS}/batch", b'{"tasks":[null]}')
    assert plain.json == {"results": [{"error": "invalid command"}]}
    for tasks in (b'[{"command":"x","payload":1}],"tasks":[]', b'[{"command":"x","payload":1}],"tasks":null'):
        assert contract.producer.post(f"{TASKS}/batch", b'{"tasks":%s}' % tasks).refusal == (400, "invalid body")
        reply = contract.producer.post(f"{TASKS}/batch", b'{"tasks":%s,"tasks":[null]}' % tasks)
        assert reply.json == {"results": [{"error": "invalid command"}]}


@checks("B1.29")
@needs("minting")
@pytest.mark.parametrize("body", [b'{"commands":[null]}', b'{"Commands":[null,null]}'])
def test_null_in_a_list_of_texts_is_an_empty_one(contract: CaseContext, body: bytes) -> None:
    assert contract.new_worker(eventTypes=[""]).post(CLAIM, body).status == 204
    assert contract.new_worker(eventTypes=["x"]).post(CLAIM, body).refusal == (403, "event type not allowed")


@checks("B1.2")
@pytest.mark.parametrize(
    ("member", "error"),
    [
        ('"delaySecond\u017f":-1', "invalid 'delaySeconds' (must be >= 0)"),
        ('"webhoo\u212a":"x"', "invalid webhook url"),
        ('"\u017fTATUS":0,"RUNAT":"x"', "invalid 'runAt' (use RFC3339)"),
    ],
)
def test_names_are_compared_by_unicodes_simple_folding(contract: CaseContext, member: str, error: str) -> None:
    assert contract.producer.post(TASKS, _create(contract, member)).refusal == (400, error)


@checks("B2.1")
@pytest.mark.parametrize(
    "members",
    [
        pytest.param(
            ['"priority":"5"', '"priority":true', '"maxAttempts":[]', '"delaySeconds":{}', '"delaySeconds":[1]'],
            marks=checks("B1.7"),
        ),
        pytest.param(['"priority":5.0', '"delaySeconds":0.5', '"priority":-0.0'], marks=checks("B1.8")),
        pytest.param(['"priority":1e1', '"priority":1E0', '"priority":1e400'], marks=checks("B1.9")),
        pytest.param(
            [
                '"priority":9223372036854775808',
                '"priority":-9223372036854775809',
                f'"priority":1{20 * "0"}',
                f'"priority":-{5000 * "9"}',
            ],
            marks=checks("B1.10"),
        ),
        pytest.param(
            ['"command":1', '"webhook":false', '"runAt":[]', '"idempotencyKey":{}', '"webhook":1,"webhook":null'],
            marks=checks("B1.11"),
        ),
        pytest.param(
            ['"more":"\t"', '"payload":"\n"', '"payload":"\0"', '"payload":"\x1f"', '"\x0b":1'], marks=checks("B1.16")
        ),
        pytest.param(
            ['"payload":NaN', '"payload":[-Infinity]', '"more":Infinity', '"more":{"a":NaN}'], marks=checks("B1.17")
        ),
        pytest.param(['"payload":01', '"priority":-01', '"more":[00]', '"more":-012'], marks=checks("B1.18")),
        pytest.param(['"more":2,', '"more":[1,]', '"payload":{"a":1,}'], marks=checks("B1.19")),
        pytest.param(
            [
                '"payload":1e999',
                '"payload":[-1e309]',
                '"payload":{"a":1.8e308}',
                f'"payload":{400 * "9"}',
                '"payload":{"a":1e999,"a":1}',
                '"payload":1e999,"payload":1',
                '"payload":{"a":[1e999]},"payload":{}',
            ],
            marks=checks("B1.21"),
        ),
        *(
            pytest.param([f'"{name}":{value}' for value in NO_VALUES], marks=checks("B1.27"))
            for name in ("payload", "more")
        ),
    ],
)
def test_json_is_strict(contract: CaseContext, members: list[str]) -> None:
    found = {member: contract.producer.post(TASKS, _create(contract, member)).refusal for member in members}
    assert found == dict.fromkeys(members, (400, "invalid body"))


@checks("B1.10")
@pytest.mark.parametrize(("given", "kept"), [(9223372036854775807, 9), (-9223372036854775808, 0)])
def test_the_largest_integers_of_64_bits_are_read(contract: CaseContext, given: int, kept: int) -> None:
    assert contract.producer.created(contract.command(), priority=given).get("priority", 0) == kept


@checks("B1.10")
def test_an_integer_is_exact(contract: CaseContext) -> None:
    command, given = contract.command(), [999999999999999, 10**15, 2**53 + 1, 2**63 - 1]
    assert [contract.producer.created(command, maxAttempts=most)["maxAttempts"] for most in given] == given
    reply = contract.producer.post(TASKS, _create(contract, '"priority":-0,"maxAttempts":-0'))
    assert (reply.status, "priority" in reply.json) == (202, False)


@checks("B1.12")
@pytest.mark.parametrize("commands", ["X", 1, {}, ["X", 1], [["X"]], [True]])
def test_a_list_is_an_array_of_its_type(contract: CaseContext, commands: object) -> None:
    assert contract.worker.post(CLAIM, {"commands": commands}).refusal == (400, "invalid body")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", marks=checks("B1.13")),
        pytest.param(b" ", marks=checks("B1.13")),
        pytest.param(b"\xef\xbb\xbf{}", marks=checks("B1.15")),
        pytest.param(b"[]", marks=checks("B1.25")),
        pytest.param(b'"text"', marks=checks("B1.25")),
        pytest.param(b"5", marks=checks("B1.25")),
        pytest.param(b"true", marks=checks("B1.25")),
        pytest.param(b"{", marks=checks("B1.26")),
        pytest.param(b'{"reason":"x"', marks=checks("B1.26")),
        pytest.param(b'{"reason":"x', marks=checks("B1.26")),
        pytest.param(b"nul", marks=checks("B1.26")),
    ],
)
def test_a_body_is_one_whole_object(contract: CaseContext, body: bytes) -> None:
    assert contract.worker.post(NACK, body).refusal == (400, "invalid body")


@checks("B1.24")
def test_a_body_of_null_counts_as_an_empty_object(contract: CaseContext) -> None:
    assert contract.worker.post(NACK, b"null").refusal == (404, "not-found")
    task = contract.leased()
    assert contract.worker.post(f"{TASKS}/{task['id']}/nack", b" null ").json["status"] == "requeued"


@checks("B1.20")
def test_json_may_be_10000_deep(contract: CaseContext) -> None:
    deep = b"[" * 9_999 + b"]" * 9_999
    body = b'{"command":"%s","payload":%s}'
    reply = contract.producer.post(TASKS, body % (contract.command().encode(), deep))
    assert (reply.status, reply.json["payload"]) == (202, deep.decode())
    refused = contract.producer.post(TASKS, body % (contract.command().encode(), b"[" + deep + b"]"))
    assert refused.refusal == (400, "invalid body")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(rb'["\ud800","\udc00\ud800x"]', '["\ufffd","\ufffd\ufffdx"]', marks=checks("B1.22")),
        pytest.param(rb'{"\udfff":1}', '{"\ufffd":1}', marks=checks("B1.22")),
        pytest.param(b'["\xff"]', '["\ufffd"]', marks=checks("B1.23")),
        pytest.param(b'["\xe2\x82","\xf0\x9f\x98"]', '["\ufffd\ufffd","\ufffd\ufffd\ufffd"]', marks=checks("B1.23")),
        pytest.param(b'["\xed\xa0\x80"]', '["\ufffd\ufffd\ufffd"]', marks=checks("B1.23")),
    ],
)
def test_invalid_unicode_becomes_the_replacement_character(contract: CaseContext, sent: bytes, kept: str) -> None:
    body = b'{"command":"%s","payload":%s}' % (contract.command().encode(), sent)
    reply = contract.producer.post(TASKS, body)
    assert reply.json["payload"] == kept
    assert json.dumps(kept, ensure_ascii=False).encode() in reply.body  # not escaped


@checks("B1.22", "B1.23")
def test_invalid_unicode_in_a_command_becomes_the_replacement_character(contract: CaseContext) -> None:
    command = contract.command()
    body = b'{"command":"%s \\udfff\xff","payload":1}' % command.encode()
    assert f'"command":"{command} \ufffd\ufffd"'.encode() in contract.producer.post(TASKS, body).body
    assert contract.worker.claim(f"{command} \ufffd\ufffd").status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"command":1,"reason":1,"tasks":1,"results":1}'])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(TASKS, marks=checks("B2.1")),
        pytest.param(f"{TASKS}/batch", marks=checks("B2.2")),
        pytest.param(f"{TASKS}/claim/batch", marks=checks("B2.2")),
        pytest.param(f"{TASKS}/batch/results", marks=checks("B2.2")),
        pytest.param(CLAIM, marks=checks("B2.3")),
        pytest.param(f"{TASKS}/none/heartbeat", marks=checks("H4.1", "H4.2")),
        pytest.param(NACK, marks=checks("B2.4")),
        pytest.param(SUBSCRIPTIONS, marks=checks("B2.5")),
    ],
)
def test_a_bad_body_is_refused(contract: CaseContext, path: str, body: bytes) -> None:
    if path == CLAIM or path.endswith("heartbeat"):
        body = body.replace(b'{"command":1', b'{"leaseSeconds":"1","extendSeconds":"1"')
    caller = contract.producer if path in (TASKS, f"{TASKS}/batch") else contract.worker
    assert caller.post(path, body).refusal == (400, "invalid body")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(f"{TASKS}/claim/batch", {"commands": [1], "count": 1}, marks=checks("B2.2")),
        pytest.param(CLAIM, {"commands": [1]}, marks=checks("B2.3")),
        pytest.param(SUBSCRIPTIONS, {"callbackUrl": "http://127.0.0.1:9/x", "eventTypes": [1]}, marks=checks("B2.5")),
    ],
)
def test_a_list_of_names_has_no_numbers(contract: CaseContext, path: str, body: object) -> None:
    assert contract.worker.post(path, body).refusal == (400, "invalid body")


@checks("B2.6", "S2.6")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'{"status":1}',
        b'{"status":"COMPLETED","result":[]}',
        b'{"status":"FAILED","workerId":1}',
        b'{"status":"FAILED","error":1}',
        *(b'{"status":"FAILED","artifacts":%s}' % artifacts for artifacts in (b"{}", b"[1]", b'[{"contentType":1}]')),
        *(b'{"status":"FAILED","artifacts":[{"%s":1}]}' % name for name in (b"name", b"url", b"contentBase64")),
    ],
)
def test_a_bad_result_has_a_separate_error_text(contract: CaseContext, body: bytes) -> None:
    assert contract.worker.post(f"{TASKS}/none/result", body).refusal == (400, "invalid request body")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", marks=checks("B2.7")),
        pytest.param(b"{", marks=checks("B2.7")),
        pytest.param(b'x{"ttlSeconds":60}', marks=checks("B2.7")),
        pytest.param(b"[60]", marks=checks("B2.7")),
        pytest.param(b'{"ttlSeconds":1.5}', marks=checks("B2.8")),
        pytest.param(b'{"ttlSeconds":1e2}', marks=checks("B2.8")),
        pytest.param(b'{"ttlSeconds":"60"}', marks=checks("B2.8")),
        pytest.param(b'{"ttlSeconds":true}', marks=checks("B2.8")),
        pytest.param(b'{"ttlSeconds":9223372036854775808}', marks=checks("B2.8")),
    ],
)
def test_a_renewal_passes_over_what_it_cannot_read(contract: CaseContext, body: bytes) -> None:
    made = contract.worker.subscribe(
        callbackUrl="http://127.0.0.1:9/hook", eventTypes=[contract.command()], ttlSeconds=900
    ).json
    reply = contract.worker.post(f"{SUBSCRIPTIONS}/{made['subscriptionId']}/heartbeat", body)
    assert (reply.status, reply.json["subscriptionId"]) == (200, made["subscriptionId"])
    assert contract.lies_after(reply, contract.time_bounds.store.subscription_ttl, reply.json["expiresAt"])


@checks("B2.13")
@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b"\xff"])
def test_an_abandon_reads_no_body(contract: CaseContext, body: bytes) -> None:
    task = contract.leased()
    reply = contract.worker.post(f"{TASKS}/{task['id']}/abandon", body)
    assert (reply.status, reply.json) == (200, {"status": "requeued"})


@checks("B2.9")
@needs("admin", "clean_up")
@pytest.mark.parametrize("body", [b"", b"{", b'x{"limit":7}', b"[7]", b"null", b"\xff"])
def test_a_clean_up_takes_what_is_no_json_for_empty(contract: CaseContext, body: bytes) -> None:
    reply = contract.admin.post(CLEAN_UP, body)
    assert (reply.status, reply.json["limit"]) == (200, 0)
    assert contract.second_lies_after(reply, 0, reply.json["before"])


@needs("admin", "clean_up")
@pytest.mark.parametrize(
    ("body", "limit"),
    [
        pytest.param(b'{"limit":"1","before":"2000-01-01T00:00:00Z"}', 0, marks=checks("B2.10")),
        pytest.param(b'{"limit":1.5,"before":"2000-01-01T00:00:00Z"}', 0, marks=checks("B2.10")),
        pytest.param(b'{"limit":1e2,"before":"2000-01-01T00:00:00Z"}', 0, marks=checks("B2.10")),
        pytest.param(b'{"limit":9223372036854775808,"before":"2000-01-01T00:00:00Z"}', 0, marks=checks("B2.10")),
        pytest.param(b'{"limit":[],"before":"2000-01-01T00:00:00Z"}', 0, marks=checks("B2.10")),
        pytest.param(b'{"x":1,"limit":7,"limit":"x","before":"2000-01-01T00:00:00Z"}', 7, marks=checks("B2.11")),
        pytest.param(b'{"before":"2000-01-01T00:00:00Z","before":5,"limit":7}', 7, marks=checks("B2.11")),
        pytest.param(b'{"before":"2000-01-01T00:00:00Z","limit":7}{"limit":8}', 7, marks=checks("B2.12")),
        pytest.param(b'{"before":"2000-01-01T00:00:00Z","limit":7}x', 7, marks=checks("B2.12")),
    ],
)
def test_a_clean_up_passes_over_fields_of_the_wrong_type(contract: CaseContext, body: bytes, limit: int) -> None:
    reply = contract.admin.post(CLEAN_UP, body)
    assert (reply.status, reply.json) == (200, {"before": "2000-01-01T00:00:00Z", "deleted": 0, "limit": limit})


@checks("B3.1")
def test_a_body_is_not_looked_at_without_a_token(contract: CaseContext) -> None:
    paths = [TASKS, CLAIM, f"{TASKS}/none/heartbeat", NACK, f"{TASKS}/none/result", CLEAN_UP]
    paths += [f"{TASKS}/batch", f"{TASKS}/claim/batch", f"{TASKS}/batch/results", SUBSCRIPTIONS]
    for path in paths:
        assert contract.anonymous.post(path, b"{").refusal == (401, "missing Authorization header"), path


@checks("B3.2")
@needs("minting")
def test_a_body_is_not_looked_at_without_the_scope(contract: CaseContext) -> None:
    caller = contract.new_worker(scope="codeq:abandon")
    for path in (CLAIM, f"{TASKS}/none/heartbeat", NACK, f"{TASKS}/none/result", SUBSCRIPTIONS):
        assert caller.post(path, b"{").refusal == (403, "missing scope"), path


@checks("B3.3", "B3.4")
@needs("rate_limit", "variants", "minting")
def test_a_limit_is_checked_between_the_scope_and_the_body(contract: CaseContext) -> None:
    limit = "{requestsPerMinute: 1, burstSize: 1}"
    with contract.server({}, yaml=f"rateLimit: {{producer: {limit}, worker: {limit}}}\n") as server:
        lacking = server.new_worker(scope="codeq:nack")
        for _ in range(3):
            assert lacking.claim(server.command()).refusal == (403, "missing scope")
        for caller, path in ((server.producer, TASKS), (server.worker, CLAIM)):
            first, second = caller.post(path, b"{"), caller.post(path, b"{")
            contract.surely_before(second, first.called + 60 * SECOND)
            assert first.refusal == (400, "invalid body")
            assert (second.status, second.json["error"]) == (429, "rate limit exceeded")


def _create(contract: CaseContext, member: str) -> bytes:
    """The body of a create with this member."""
    payload = "" if member.startswith('"payload"') else '"payload":1,'
    return f'{{"command":"{contract.command()}",{payload}{member}}}'.encode()
