"""Section 4: payloads are kept as compact JSON (T1)."""

from __future__ import annotations

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(' { "a" : [ 1 ,\t2 ] ,\r\n"b" : { } } ', '{"a":[1,2],"b":{}}', marks=checks("T1.1")),
        pytest.param('{"b":1,"B":2,"a":3,"":4}', '{"":4,"B":2,"a":3,"b":1}', marks=checks("T1.2")),
        pytest.param('[{"o":{"b":1,"a":2},"n":0}]', '[{"n":0,"o":{"a":2,"b":1}}]', marks=checks("T1.2")),
        pytest.param('{"\U00010000":1,"\uffff":2,"é":3}', '{"é":3,"\uffff":2,"\U00010000":1}', marks=checks("T1.2")),
        pytest.param('{"<&>":"<&>"}', r'{"\u003c\u0026\u003e":"\u003c\u0026\u003e"}', marks=checks("T1.3")),
        pytest.param('"\u2028\u2029"', r'"\u2028\u2029"', marks=checks("T1.4")),
        pytest.param("[1.0,-2.00,0.0,100.0]", "[1,-2,0,100]", marks=checks("T1.5")),
        pytest.param("[0.000001,0.00000099,0.0000001]", "[0.000001,9.9e-7,1e-7]", marks=checks("T1.6")),
        pytest.param("[1e20,1e21]", "[100000000000000000000,1e+21]", marks=checks("T1.7")),
        pytest.param("999999999999999868928", "999999999999999900000", marks=checks("T1.7")),
        pytest.param(
            "[9007199254740993,9007199254740992]", "[9007199254740992,9007199254740992]", marks=checks("T1.8")
        ),
        pytest.param("123456789012345678901234", "1.2345678901234569e+23", marks=checks("T1.8")),
        pytest.param("-0", "-0", marks=checks("T1.9")),
        pytest.param("-0.0", "-0", marks=checks("T1.9")),
        pytest.param("[0.1,1.10,1E2,0.30000000000000004]", "[0.1,1.1,100,0.30000000000000004]", marks=checks("T1.9")),
        pytest.param("[5e-324,1.1e300,0.000011,-0.0]", "[5e-324,1.1e+300,0.000011,-0]", marks=checks("T1.9")),
        pytest.param(
            "[0,-0,0e5,1e-400,-1e-400,-5.50,1E5,1e+2,12345678.9,0.00001234,3.0e-10,999999999999999,1e15,1e16]",
            "[0,-0,0,0,-0,-5.5,100000,100,12345678.9,0.00001234,3e-10,999999999999999,1000000000000000,10000000000000000]",
            marks=checks("T1.9"),
        ),
        pytest.param(
            "[-1e-6,-9.99e-7,1.7976931348623157e308,-1e21,-1e20,999999999999999999999,1e22,123456789012345678,1e-10]",
            "[-0.000001,-9.99e-7,1.7976931348623157e+308,-1e+21,-100000000000000000000,1e+21,1e+22,123456789012345680,1e-10]",
            marks=checks("T1.9"),
        ),
        pytest.param(
            "[0.0001,0.00009,123456.0e3,12345678901234567.0,1234567890123456.7,9999999999999998.0,1e-5]",
            "[0.0001,0.00009,123456000,12345678901234568,1234567890123456.8,9999999999999998,0.00001]",
            marks=checks("T1.9"),
        ),
        pytest.param(
            '{"b":[],"a":{"x":1},"c":-0,"a":{"y":[true,false,null]}}',
            '{"a":{"y":[true,false,null]},"b":[],"c":-0}',
            marks=checks("T1.10"),
        ),
        pytest.param('{"a":1,"b":{"c":1,"c":2},"a":3}', '{"a":3,"b":{"c":2}}', marks=checks("T1.10")),
        pytest.param(r'"é\u00e9\ud83d\ude00\/"', '"éé\U0001f600/"', marks=checks("T1.11")),
        pytest.param(r'"\u000a\t\r\b\f\u0000\u001f"', r'"\n\t\r\b\f\u0000\u001f"', marks=checks("T1.12")),
        pytest.param(
            r'"\b\f\n\r\t\"\\\/\u0008\u000A\\u003c\ud83d\ud83d\ude00\\ud800"',
            '"\\b\\f\\n\\r\\t\\"\\\\/\\b\\n\\\\u003c\ufffd\U0001f600\\\\ud800"',
            marks=checks("T1.12"),
        ),
        pytest.param('"\x7f"', '"\x7f"', marks=checks("T1.12")),
    ],
)
def test_a_payload_is_kept_as_compact_json(contract: CaseContext, sent: str, kept: str) -> None:
    body = f'{{"command":"{contract.command()}","payload":{sent}}}'.encode()
    assert contract.producer.post(TASKS, body).json["payload"] == kept


@checks("T1.13")
def test_a_long_text_is_written_as_a_short_one(contract: CaseContext) -> None:
    text, escaped = "é<" * 40_000, r"é\u003c" * 40_000
    created = contract.producer.create(contract.command(), text)
    assert (created.status, created.json["payload"]) == (202, f'"{escaped}"')
    claimed = contract.worker.claim(created.json["command"])
    assert (claimed.status, claimed.json["payload"]) == (200, f'"{escaped}"')
    ended = contract.worker.submit(claimed.json, status="COMPLETED", result={"a": text}, error=text)
    assert (ended.status, ended.json["error"]) == (200, text)
    assert f'"result":{{"a":"{escaped}"}},"error":"{escaped}"' in ended.text
    task, result = contract.producer.task(created.json), contract.producer.result(created.json)
    assert (task.status, result.text) == (200, f'{{"result":{ended.text},"task":{task.text}}}')
    assert f'"error":"{escaped}"' in task.text
