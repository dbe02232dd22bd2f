from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.driver import Reply
from codeq_contract.recordings.format import Call
from codeq_contract.recordings.times import MILLISECOND, parse_moment
from codeq_contract.replay.allowed_differences import AllowedDifferences
from codeq_contract.replay.comparison import Difference, compare_reply

SENT = parse_moment("2026-11-24T12:00:00.3Z")
CALL = Call(
    number=12,
    sent=SENT,
    answered=SENT + 2 * MILLISECOND,
    identity="prod",
    method="POST",
    path="/v1/codeq/tasks",
    headers={},
    body="{}",
    status=202,
    reply_headers={"content-type": "application/json; charset=utf-8"},
    reply='{"id":"a","payload":"{}","attempts":1,"createdAt":"2026-11-24T12:00:00.301Z"}',
)
PAGE = """\
# HELP codeq_dlq_depth Current DLQ depth by command.
# TYPE codeq_dlq_depth gauge
codeq_dlq_depth{command="A"} 0
codeq_task_processing_latency_seconds_sum{command="A"} 0.004
# HELP go_threads Number of OS threads created.
go_threads 8
"""


def differences(call: Call, *, status: int = 202, text: str | None = None, **headers: str) -> list[Difference]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = (call.reply if text is None else text).encode()
    reply = Reply(call.sent, call.answered, status, {**call.reply_headers, **named}, body)
    return compare_reply(call, reply, AllowedDifferences())


def places(found: list[Difference]) -> list[tuple[str, str, str]]:
    return [(difference.path, difference.theirs, difference.ours) for difference in found]


def test_the_same_reply_differs_in_nothing() -> None:
    assert differences(CALL, date="now", x_request_id="1") == []


def test_a_difference_names_the_call_the_route_its_clauses_and_both_sides() -> None:
    [difference] = differences(CALL, status=200)
    assert difference == Difference(
        "call 12", "POST /v1/codeq/tasks", "R1 B1-B3 C1-C8 T1", "status", theirs="202", ours="200"
    )
    assert str(difference) == (
        "call 12  POST /v1/codeq/tasks  [R1 B1-B3 C1-C8 T1]\n  status\n    theirs: 202\n    ours:   200"
    )


@pytest.mark.parametrize(
    ("path", "status", "clauses"),
    [("/v1/codeq/tasks", 401, "R1 A1-A8"), ("/v1/codeq/tasks", 429, "R1 L1"), ("/healthz", 404, "R18 R19")],
)
def test_a_refusal_names_the_clauses_of_refusals(path: str, status: int, clauses: str) -> None:
    [difference] = differences(replace(CALL, path=path, status=status), status=500)
    assert difference.clauses == clauses


def test_headers_that_a_client_reads_must_be_equal() -> None:
    found = differences(replace(CALL, reply_headers={"retry-after": "2"}), retry_after="1", location="/")
    assert places(found) == [("header location", "(absent)", "/"), ("header retry-after", "2", "1")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (CALL.reply.replace('"a"', '"b"'), ("body.id", '"a"', '"b"')),
        (CALL.reply.replace('"attempts":1,', ""), ("body.attempts", "1", "(absent)")),
        (
            CALL.reply.replace(".301Z", ".401Z"),
            ("body.createdAt", '"2026-11-24T12:00:00.301Z"', '"2026-11-24T12:00:00.401Z"'),
        ),
        ("[]", ("body", CALL.reply.replace('":', '": ').replace(',"', ', "'), "[]")),
    ],
)
def test_a_body_differs_where_its_values_do(text: str, place: tuple[str, str, str]) -> None:
    assert places(differences(CALL, text=text)) == [place]


def test_a_difference_names_the_item_of_a_batch() -> None:
    batch = replace(CALL, reply='{"results":[{"task":{"id":"a"}},{"error":"x"}]}')
    found = differences(batch, text='{"results":[{"task":{"id":"a"}},{"error":"y"}]}')
    assert places(found) == [("body.results[1].error", '"x"', '"y"')]


def test_close_timestamps_are_no_difference() -> None:
    assert differences(CALL, text=CALL.reply.replace(".301Z", ".3Z")) == []


@pytest.mark.parametrize(
    "text",
    [
        CALL.reply.replace(".301Z", ".3Z").replace(":1,", ":1.0,"),
        CALL.reply.replace('"id":"a","payload":"{}"', '"payload":"{}","id":"a"'),
        CALL.reply + "\n",
    ],
)
def test_equal_values_in_other_bytes_differ(text: str) -> None:
    [difference] = differences(CALL, text=text)
    assert difference.path.startswith("body, character ")
    assert difference.theirs != difference.ours


def test_a_body_that_is_not_json_is_compared_as_text() -> None:
    page = replace(CALL, reply="404 page not found")
    assert places(differences(page, text="404 Not Found")) == [
        ("body, character 4", "'404 page not found'", "'404 Not Found'")
    ]


@pytest.mark.parametrize("levels", [2_000, 10_000])  # Python's JSON reads from 1,000 to 65,000, by its version
def test_deep_nesting_is_compared_too(levels: int) -> None:
    deep = replace(CALL, reply="[" * levels + "]" * levels)
    [difference] = differences(deep, text="[" * (levels - 1) + "]" * (levels - 1))
    assert difference.path == f"body, character {levels - 1}"


def metrics_places(ours: str) -> list[tuple[str, str, str]]:
    scrape = replace(CALL, method="GET", path="/metrics", status=200, reply=PAGE)
    return places(differences(scrape, status=200, text=ours))


def test_metrics_are_the_codeq_families_without_sums_of_latencies() -> None:
    assert metrics_places(PAGE.replace("0.004", "0.005").replace("go_threads 8", "go_threads 9")) == []


def test_a_sample_differs_by_its_value_and_by_its_absence() -> None:
    sample = 'codeq_dlq_depth{command="A"}'
    assert metrics_places(PAGE.replace(f"{sample} 0", f"{sample} 1")) == [(sample, f"{sample} 0", f"{sample} 1")]
    assert metrics_places(PAGE.replace(f"{sample} 0\n", "")) == [(sample, f"{sample} 0", "(absent)")]


def test_the_lines_of_a_page_have_their_order() -> None:
    first, second, *others = PAGE.splitlines(keepends=True)
    [place] = metrics_places("".join((second, first, *others)))
    assert place[0] == "body, character 2"
