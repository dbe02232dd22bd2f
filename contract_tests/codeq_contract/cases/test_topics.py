"""The topics of a tenant, and the status of Raft, on the main branch (G2, G3)."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.driver import Reply
from codeq_contract.suite.caller import exact
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

RAFT = "/v1/codeq/raft/status"
POLICY = {"priorityTiers": [5, 0, 9], "maxAttempts": 3, "deadLetterTopicRef": "dead"}
NO_LABELS = ("-a", "a-", "A", "a_b", "a.b", "a" * 64)
TIERS = "priorities must be integers from 0 through 10"
LABEL = "must be a DNS label with at most 63 characters"


@checks("G2.1", "G2.2")
def test_a_caller_reads_the_status_of_raft(contract: CaseContext) -> None:
    for caller in (contract.worker, contract.producer):
        reply = caller.get(RAFT)
        assert (reply.status, reply.text) == (200, '{"enabled":false,"numGroups":0}')
    assert contract.anonymous.get(RAFT).refusal == (401, "invalid token")


@checks("G3.1", "G3.2", "G3.3", "G3.6")
def test_a_topic_is_created_and_read(contract: CaseContext) -> None:
    name = topic(contract)
    created = contract.admin.put_topic(name, {**POLICY, "retentionSeconds": 0, "maxConsumers": 0})
    assert created.status == 201
    tenant = contract.producer.created(contract.command())["tenantId"]
    assert exact(created.json) == exact(
        {
            "topicId": f"{tenant}.{name}",
            "tenantId": tenant,
            "topicName": name,
            "policy": {**POLICY, "priorityTiers": [0, 5, 9]},
            "version": 1,
            "createdAt": created.json["createdAt"],
            "updatedAt": created.json["createdAt"],
        }
    )
    assert contract.lies_after(created, 0, created.json["createdAt"])
    changed = contract.admin.put_topic(name, {**POLICY, "retentionSeconds": 60, "maxConsumers": 7})
    assert changed.status == 200
    assert exact(changed.json["policy"]) == exact(
        {**POLICY, "priorityTiers": [0, 5, 9], "retentionSeconds": 60, "maxConsumers": 7}
    )
    read = contract.admin.topic(name)
    assert (read.status, read.body) == (200, changed.body)


@checks("G3.4", "G3.5")
def test_a_topic_has_a_new_version_when_its_policy_changes(contract: CaseContext) -> None:
    name = topic(contract)
    created = contract.admin.put_topic(name, POLICY)
    contract.clock.sleep(1)
    assert contract.admin.put_topic(name, {**POLICY, "priorityTiers": [9, 0, 5]}).body == created.body
    changed = contract.admin.put_topic(name, {**POLICY, "maxAttempts": 4})
    assert (changed.json["version"], changed.json["createdAt"]) == (2, created.json["createdAt"])
    assert contract.lies_after(changed, 0, changed.json["updatedAt"])
    assert changed.json["updatedAt"] > created.json["updatedAt"]


@checks("G3.7", "G3.9", "G3.10")
def test_a_topic_is_deleted_only_on_purpose(contract: CaseContext) -> None:
    name = topic(contract)
    tenant = contract.admin.put_topic(name, POLICY).json["tenantId"]
    for query in ("", "?deletionPolicy=delete", "?deletionpolicy=Delete"):
        assert contract.admin.delete_topic(name, query).refusal == (400, "deletionPolicy=Delete is required")
    assert contract.admin.topic(name).status == 200
    for _ in range(2):
        deleted = contract.admin.delete_topic(name)
        assert (deleted.status, deleted.body) == (204, b"")
    assert contract.admin.topic(name).refusal == (404, f'queue topic "{tenant}.{name}" not found')
    assert contract.admin.put_topic(name, POLICY).json["version"] == 1


@checks("G3.8")
def test_a_topic_belongs_to_a_tenant(contract: CaseContext) -> None:
    name, other = topic(contract), contract.new_producer(scope="codeq:admin")
    created = contract.admin.put_topic(name, POLICY)
    assert other.topic(name).status == 404
    theirs = other.put_topic(name, {**POLICY, "maxAttempts": 9})
    assert (theirs.status, theirs.json["tenantId"] != created.json["tenantId"]) == (201, True)
    other.delete_topic(name)
    assert contract.admin.topic(name).body == created.body


@checks("G3.11")
def test_a_topic_is_no_matter_of_a_mere_producer(contract: CaseContext) -> None:
    name, refusal = topic(contract), (401, "unauthorized. Admin only")
    for reply in (
        contract.producer.topic(name),
        contract.producer.put_topic(name, POLICY),
        contract.producer.delete_topic(name),
    ):
        assert reply.refusal == refusal


@pytest.mark.parametrize(
    ("name", "fields", "field", "reason"),
    [
        *(pytest.param(name, {}, "topicName", LABEL, marks=checks("G3.12")) for name in NO_LABELS),
        *(
            pytest.param("", {"priorityTiers": tiers}, "priorityTiers", reason, marks=checks("G3.13"))
            for tiers, reason in (
                ([], "must contain between 1 and 10 priorities"),
                (None, "must contain between 1 and 10 priorities"),
                ([*range(11)], "must contain between 1 and 10 priorities"),
                ([-1], TIERS),
                ([11], TIERS),
                ([1, 2, 1], "priorities must be unique"),
            )
        ),
        *(
            pytest.param("", {"maxAttempts": number}, "maxAttempts", "must be between 1 and 100", marks=checks("G3.14"))
            for number in (-1, 0, 101)
        ),
        *(
            pytest.param("", {"deadLetterTopicRef": text}, "deadLetterTopicRef", LABEL, marks=checks("G3.15"))
            for text in ("", *NO_LABELS)
        ),
        *(
            pytest.param(
                "",
                {"retentionSeconds": number},
                "retentionSeconds",
                "must be between 0 and 2147483647",
                marks=checks("G3.16"),
            )
            for number in (-1, 2147483648)
        ),
        *(
            pytest.param(
                "", {"maxConsumers": number}, "maxConsumers", "must be between 0 and 10000", marks=checks("G3.17")
            )
            for number in (-1, 10001)
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_its_field(
    contract: CaseContext, name: str, fields: dict[str, Any], field: str, reason: str
) -> None:
    reply = contract.admin.put_topic(name or topic(contract), {**POLICY, **fields})
    assert is_invalid(reply, field, reason), reply


@checks("G3.12", "G3.13", "G3.14", "G3.15", "G3.16", "G3.17")
def test_a_policy_at_its_limits_is_accepted(contract: CaseContext) -> None:
    name = topic(contract).ljust(63, "x")
    for policy in (
        {**POLICY, "priorityTiers": [*range(1, 11)], "maxAttempts": 100, "deadLetterTopicRef": "a" * 63},
        {**POLICY, "priorityTiers": [0], "maxAttempts": 1, "retentionSeconds": 2147483647, "maxConsumers": 10000},
    ):
        assert contract.admin.put_topic(name, policy).json["policy"].items() >= policy.items()


@checks("G3.1", "G3.3", "G3.14", "G3.15")
def test_what_a_policy_leaves_out_counts_as_nothing(contract: CaseContext) -> None:
    name = topic(contract)
    created = contract.admin.put_topic(name, POLICY)
    assert (created.status, exact(created.json["policy"])) == (201, exact({**POLICY, "priorityTiers": [0, 5, 9]}))
    for field, reason in (("maxAttempts", "must be between 1 and 100"), ("deadLetterTopicRef", LABEL)):
        rest = {given: value for given, value in POLICY.items() if given != field}
        assert is_invalid(contract.admin.put_topic(name, rest), field, reason)


@checks("G3.15")
def test_a_topic_is_not_its_own_dead_letter_topic(contract: CaseContext) -> None:
    name = topic(contract)
    reply = contract.admin.put_topic(name, {**POLICY, "deadLetterTopicRef": name})
    assert is_invalid(reply, "deadLetterTopicRef", "must differ from topicName"), reply


@checks("G3.12", "G3.18")
def test_the_first_wrong_field_is_named(contract: CaseContext) -> None:
    wrong: dict[str, Any] = {
        "priorityTiers": [],
        "maxAttempts": 0,
        "deadLetterTopicRef": "",
        "retentionSeconds": -1,
        "maxConsumers": -1,
    }
    right: dict[str, Any] = {**POLICY, "retentionSeconds": 0}
    assert contract.admin.put_topic("A", wrong).json["field"] == "topicName"
    assert contract.admin.topic("A").json["field"] == "topicName"
    assert contract.admin.delete_topic("A").json["field"] == "topicName"
    name = topic(contract)
    for field in [*wrong]:
        assert contract.admin.put_topic(name, wrong).json["field"] == field
        wrong[field] = right.get(field, 0)
    assert contract.admin.put_topic(name, wrong).status == 201


#: Bodies of a policy that Go's strict decoder refuses, with its texts.
CUT_OFF = {
    **dict.fromkeys([b"", b" \t\r\n"], "EOF"),
    **dict.fromkeys(
        [
            *(
                b"{",
                b'{"',
                b'{"a',
                b'{"a\\',
                b'{"a\\u',
                b'{"a\\u00e',
                b'{"a"',
                b'{"a":',
                b'{"a":1',
                b'{"a":1 ,',
                b'{"a":{}',
            ),
            *(b"[", b"[ ", b"[1", b"[1,", b"[[]", b"-", b"1.", b"1e", b"1e-", b"t", b"fal", b"nul", b"[" * 10_000),
        ],
        "unexpected EOF",
    ),
}
WRONG_BYTES = {
    **{
        b"%s 1" % shown: f"invalid character '{named}' looking for beginning of value"
        for shown, named in (
            *(
                (b"x", "x"),
                (b"+", "+"),
                (b"}", "}"),
                (b"'", r"\'"),
                (b"\\", r"\\"),
                (b"\xef\xbb\xbf", "ï"),
                (b"\xe9", "é"),
            ),
            *((b"\0", r"\x00"), (b"\a", r"\a"), (b"\b", r"\b"), (b"\f", r"\f"), (b"\v", r"\v"), (b"\x1b", r"\x1b")),
            *((b"\x7f", r"\x7f"), (b"\x80", r"\u0080"), (b"\xad", r"\u00ad")),
        )
    },
    b'{"a":}': "invalid character '}' looking for beginning of value",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"[,1]": "invalid character ',' looking for beginning of value",
    b"{,": "invalid character ',' looking for beginning of object key string",
    b"{1:1}": "invalid character '1' looking for beginning of object key string",
    b'{"a":1, }': "invalid character '}' looking for beginning of object key string",
    b'{"a" 1}': "invalid character '1' after object key",
    b'{"a"}': "invalid character '}' after object key",
    b'{"a":1 "b":1}': "invalid character '\"' after object key:value pair",
    b'{"a":01}': "invalid character '1' after object key:value pair",
    b'{"a":-01}': "invalid character '1' after object key:value pair",
    b'{"a":[]]': "invalid character ']' after object key:value pair",
    b"[1 2]": "invalid character '2' after array element",
    b"[{}}": "invalid character '}' after array element",
    b'{"a\n":1}': "invalid character '\\n' in string literal",
    b'"\x1f"': "invalid character '\\x1f' in string literal",
    b'"\t"': "invalid character '\\t' in string literal",
    b'"\r"': "invalid character '\\r' in string literal",
    b'"\\x"': "invalid character 'x' in string escape code",
    b'"\\U"': "invalid character 'U' in string escape code",
    **{
        b'"\\u%s"' % digits: rf"invalid character '{digits[-1:].decode()}' in \u hexadecimal character escape"
        for digits in (b"x", b"0Ag", b"9fFG")
    },
    b"-x": "invalid character 'x' in numeric literal",
    b"1.x": "invalid character 'x' after decimal point in numeric literal",
    b"1.e1": "invalid character 'e' after decimal point in numeric literal",
    b"1ex": "invalid character 'x' in exponent of numeric literal",
    b"1E+-1": "invalid character '-' in exponent of numeric literal",
    b"trux": "invalid character 'x' in literal true (expecting 'e')",
    b"fAlse": "invalid character 'A' in literal false (expecting 'a')",
    b"nu'l": r"invalid character '\'' in literal null (expecting 'l')",
    b"[" * 10_001: "invalid character '[' exceeded max depth",
    b"[" * 10_000 + b"{": "invalid character '{' exceeded max depth",
}
_NO_POLICY = "Go value of type queuetopic.Policy"
_FIELD = "Go struct field Policy"
_NO_INT = f"{_FIELD}.maxAttempts of type int"
WRONG_FIELDS = {
    b"[]": f"json: cannot unmarshal array into {_NO_POLICY}",
    b" true": f"json: cannot unmarshal bool into {_NO_POLICY}",
    b"false\n": f"json: cannot unmarshal bool into {_NO_POLICY}",
    b'"a\\"\\\\\\/\\b\\f\\n\\r\\t\\u09afAF\x7f "': f"json: cannot unmarshal string into {_NO_POLICY}",
    b"-1.50E+07": f"json: cannot unmarshal number into {_NO_POLICY}",
    b'{"x":1,"maxAttempts":"3"}': 'json: unknown field "x"',
    b'{"maxAttempts":"3","x":1}': f"json: cannot unmarshal string into {_NO_INT}",
    b'{"MaxAttempts":{"a" : [ ] , "b":{}} }': f"json: cannot unmarshal object into {_NO_INT}",
    b'{"maxAttempts":[ {}, 0 ,[1]]}': f"json: cannot unmarshal array into {_NO_INT}",
    b'{"maxAttempts":false}': f"json: cannot unmarshal bool into {_NO_INT}",
    b'{"maxAttempts":1e2}': f"json: cannot unmarshal number 1e2 into {_NO_INT}",
    b'{"maxAttempts":3.0}': f"json: cannot unmarshal number 3.0 into {_NO_INT}",
    b'{"maxAttempts":9223372036854775808}': f"json: cannot unmarshal number 9223372036854775808 into {_NO_INT}",
    b'{"deadLetterTopicRef":3}': f"json: cannot unmarshal number into {_FIELD}.deadLetterTopicRef of type string",
    b'{"priorityTiers":3}': f"json: cannot unmarshal number into {_FIELD}.priorityTiers of type []int",
    b'{"priorityTiers":[3,true]}': f"json: cannot unmarshal bool into {_FIELD}.priorityTiers of type int",
    b'{"priorityTiers":[[]]}': f"json: cannot unmarshal array into {_FIELD}.priorityTiers of type int",
    b'{"":null}': 'json: unknown field ""',
    b'{"<\xc3\xa9\\u0001\\n\\u200b":1}': 'json: unknown field "<é\\x01\\n\\u200b"',
    b'{"\\uffff\\ud83d\\ude00":1}': 'json: unknown field "\\uffff\U0001f600"',
    b'{"\\udbff\\u00ad\\"\\\\\xff\\udb40\\udc01":1}': 'json: unknown field "\ufffd\\u00ad\\"\\\\\ufffd\\U000e0001"',
}
SECOND_VALUES = {
    **dict.fromkeys([b"{}{}", b'{"maxAttempts":3} null', b"null\n{}"], "only one JSON object is allowed"),
    b"{} {": "unexpected EOF",
    b"{},": "invalid character ',' looking for beginning of value",
    b"{}1": "json: cannot unmarshal number into Go value of type struct {}",
    b'{}{"maxAttempts":1}': 'json: unknown field "maxAttempts"',
    b'{"x":1}{': 'json: unknown field "x"',
}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(CUT_OFF, marks=checks("G3.19")),
        pytest.param(WRONG_BYTES, marks=checks("G3.20")),
        pytest.param(WRONG_FIELDS, marks=checks("G3.21")),
        pytest.param(SECOND_VALUES, marks=checks("G3.22")),
    ],
)
def test_the_body_of_a_policy_is_read_strictly(contract: CaseContext, texts: dict[bytes, str]) -> None:
    name = topic(contract)
    found = {body: contract.admin.put_topic(name, body).refusal for body in texts}
    assert found == {body: (400, f"invalid request body: {text}") for body, text in texts.items()}


@checks("G3.23")
@pytest.mark.parametrize(
    ("members", "tiers", "most"),
    [
        (b'"maxAttempts":\t9 , "PRIORITYTIERS" : [ 2 ,0, 1 ],"maxattempt\xc5\xbf":3 ', [0, 1, 2], 3),
        (b'"priorityTiers":[1,2],"priorityTiers":[3],"maxAttempts":3,"maxAttempts":null', [3], 3),
        (b'"priorityTiers":[5,6],"priorityTiers":[1],"priorityTiers":[null,null],"maxAttempts":1', [1, 6], 1),
        (b'"priorityTiers":[1,2],"priorityTiers":null,"priorityTiers":[null,9],"maxAttempts":100', [0, 9], 100),
    ],
)
def test_the_fields_of_a_policy_are_read_as_those_of_other_bodies(
    contract: CaseContext, members: bytes, tiers: list[int], most: int
) -> None:
    body = b'\r{\t%s, "deadLetterTopicRef":"dea\\u0064" } \n' % members
    policy = contract.admin.put_topic(topic(contract), body).json["policy"]
    assert policy == {"priorityTiers": tiers, "maxAttempts": most, "deadLetterTopicRef": "dead"}


@checks("G3.23")
@pytest.mark.parametrize("body", [b"null", b" {}\n", b'{"priorityTiers":[5],"priorityTiers":null,"maxAttempts":3}'])
def test_a_policy_without_tiers_is_refused_for_them(contract: CaseContext, body: bytes) -> None:
    reply = contract.admin.put_topic(topic(contract), body)
    assert is_invalid(reply, "priorityTiers", "must contain between 1 and 10 priorities"), reply


def topic(contract: CaseContext) -> str:
    """The name of a topic that no other case has."""
    return contract.names.topic()


def is_invalid(reply: Reply, field: str, reason: str) -> bool:
    """Whether a policy is refused for this field and with this text."""
    expected = {"error": f"invalid {field}: {reason}", "field": field}
    return (reply.status, exact(reply.json)) == (422, exact(expected))
