"""Bad input: any bytes to any route with any headers get an answer that the contract names, and change nothing.

The requests go to the application directly, as a server would hand them on, so that no client tidies them up.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.http import OPERATIONS
from codeq_fake.http.rejections import status_and_text
from codeq_fake.wire import BadBody
from tests.http.strategies import bodies, headers
from tests.http.support import GOOD, IDENTITIES, ask_and_hang_up, caller_of, filled
from tests.http.test_refusals import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from codeq_fake.http import Operation
    from tests.http.support import Answer

pytestmark = pytest.mark.slow

#: The errors that the contract names, by operation, beside those that any caller may get.
NAMED: dict[str, set[tuple[int, str]]] = {
    operation.name: {(row.status, row.text) for row in ROWS if row.operation == operation.name}
    | ({status_and_text(BadBody(), operation.name)} if operation.name in GOOD else set())
    for operation in OPERATIONS
}
NAMED["create_batch"].add((400, "batch size exceeds maximum of 100"))
NAMED["claim_batch"].add((400, "count exceeds maximum of 10"))
NAMED["submit_batch"].add((400, "batch size exceeds maximum of 100"))
NAMED["cleanup"].add((400, "invalid 'before' (use RFC3339)"))
_BASE64 = re.compile(r"artifact .* base64 decode: illegal base64 data at input byte \d+", re.DOTALL)

IDS = ["held", "spent", "waiting", "done", "dead", "s-1", "none", "%00", "%ff", "a%2Fb"]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine") / "artifacts"


# Few examples for each operation, since there are many operations and each example makes a fake.
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@settings(max_examples=25)
@given(data=st.data())
def test_any_request_gets_an_answer_of_the_contract(
    full_state: bytes, artifacts: Path, operation: Operation, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(IDS))
    target = operation.path.replace("{id}", name).replace("{command}", name)
    target += data.draw(st.sampled_from(["", "?", "?a=%ff&a", "/"]))
    body = data.draw(bodies(GOOD.get(operation.name, {})))
    head = data.draw(headers(caller_of(operation), [*IDENTITIES, "unknown"]))

    async def judged() -> None:
        fake = await filled(full_state, str(artifacts))
        before = fake.state()
        answer = await ask_and_hang_up(fake, operation.method, target, body, head)
        judge(operation, answer)
        if answer.status >= 300:
            assert fake.state() == before

    asyncio.run(judged())
    assert {path.name for path in artifacts.parent.iterdir()} <= {artifacts.name}


def judge(operation: Operation, answer: Answer) -> None:
    """The answer is one that the contract names for this operation, or for a path that it does not know."""
    # A redirect has no id (R19).
    assert (b"x-request-id" in answer.headers) == (answer.status not in {301, 307})
    if answer.status in {301, 307}:
        assert answer.headers[b"location"].startswith(b"/")
    elif answer.headers.get(b"content-type") == b"text/plain":
        assert (answer.status, answer.body) == (404, b"404 page not found")
    elif answer.status >= 300:
        judge_error(operation, answer)
    elif answer.status == 204:
        assert answer.body == b""
    elif operation.name != "metrics":
        assert answer.status == (202 if operation.name == "create" else 200)
        assert isinstance(answer.json, dict)


def judge_error(operation: Operation, answer: Answer) -> None:
    assert answer.headers[b"content-type"] == b"application/json; charset=utf-8"
    assert list(answer.json) == ["error"]
    status, text = answer.status, answer.json["error"]
    assert (
        status == 401
        or (status, text) == (403, "missing scope")
        or (status, text) in NAMED[operation.name]
        or (status == 400 and operation.name == "submit" and _BASE64.fullmatch(text))
    ), (status, text)
