"""`codeq-contract check`: what it prints, and how it ends."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codeq_contract.cli import main

HISTORIES = Path(__file__).parents[2] / "histories"
EPOCH = 1_795_501_136

HEADER = {
    "kind": "header",
    "name": "two_workers",
    "profile": "redis",
    "epoch_unix": EPOCH,
    "settings": {},
    "yaml": None,
    "static": None,
    "identities": {
        "prod": {"kind": "producer", "claims": {"sub": "p", "tenantId": "acme"}},
        "w1": {"kind": "worker", "claims": {"sub": "w-1", "tenantId": "acme"}},
        "w2": {"kind": "worker", "claims": {"sub": "w-2", "tenantId": "acme"}},
    },
}
TASK = {
    "id": "6f1c2a52-9a52-4c0c-a7bd-1f5a5f1f3d10",
    "command": "RENDER",
    "payload": "{}",
    "status": "PENDING",
    "lastKnownLocation": "PENDING_LIST",
    "maxAttempts": 5,
    "tenantId": "acme",
    "createdAt": "2026-11-24T03:18:56.6-03:00",
}


def call(
    number: int, times: tuple[float, float], who: str, path: str, *, body: object, status: int, reply: object
) -> str:
    return json.dumps(
        {
            "kind": "call",
            "n": number,
            "t0": times[0],
            "t1": times[1],
            "as": who,
            "method": "POST",
            "path": f"/v1/codeq/tasks{path}",
            "headers": {},
            "body": json.dumps(body),
            "status": status,
            "reply_headers": {},
            "reply": json.dumps(reply) if status else "",
        }
    )


def held(worker: str, attempts: int) -> dict[str, object]:
    return {**TASK, "status": "IN_PROGRESS", "workerId": worker, "attempts": attempts}


CLAIM = {"commands": ["RENDER"], "leaseSeconds": 3}
CREATE = call(1, (0.5, 0.6), "prod", "", body={"command": "RENDER", "payload": {}}, status=202, reply=TASK)
FIRST = call(2, (0.7, 0.9), "w1", "/claim", body=CLAIM, status=200, reply=held("w-1", 1))
SECOND = call(3, (0.8, 1.2), "w2", "/claim", body=CLAIM, status=200, reply=held("w-2", 3))
LOST = call(4, (0.85, 9), "w1", f"/{TASK['id']}/nack", body={}, status=0, reply=None)


@pytest.fixture
def checked(tmp_path: Path) -> Checking:
    return Checking(tmp_path / "two_workers.jsonl.gz")


class Checking:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, calls: Iterable[str], *options: str) -> Result:
        self.path.write_bytes(gzip.compress("\n".join([json.dumps(HEADER), *calls]).encode()))
        return CliRunner().invoke(main, ["check", str(self.path), *options])


def test_a_valid_history_is_one_line(checked: Checking) -> None:
    result = checked([CREATE, FIRST])
    assert result.output == "redis/two_workers: 2 calls, 0 callbacks, 1 task: valid\n"
    assert result.exit_code == 0


def test_a_violation_is_drawn_as_a_timeline(checked: Checking) -> None:
    result = checked([CREATE, FIRST, SECOND])
    assert result.exit_code == 1
    summary, drawn = result.output.split("\n\n")
    assert [line.rstrip() for line in summary.splitlines()[:4]] == [
        "redis/two_workers: 3 calls, 0 callbacks, 1 task: violated",
        "  valid     phantom         C1 K4 K5 K6",
        "  valid     attempts        K5 D1 N2 N4 N5",
        "  violated  one-lease       K5 K8 H1           1 task, looks like Z3",
    ]
    says, *lines = (line.rstrip() for line in drawn.splitlines())
    assert says.startswith(f"A task is in one worker's hands at a time (K5 K8 H1): {TASK['id']} was delivered to w-2 ")
    assert says.endswith(" while w-1 held it. Looks like Z3.")
    assert lines == [
        "w1  ├───────────┤              0.7000 to 0.9000  claim for 3 s, attempts 1",
        "w2        ├───────────┤        0.8000 to 1.2000  claim for 3 s, attempts 3",
        "                            ▲  3.1990            the lease holds until then",
    ]


def test_what_a_lost_reply_may_explain_is_unknown_and_drawn_with_it(checked: Checking) -> None:
    result = checked([CREATE, FIRST, SECOND, LOST])
    assert result.exit_code == 3
    assert "unknown  one-lease" in result.output
    assert "1 task in doubt" in result.output
    assert "w1          ├────────────────▶  0.8500 to ?       nack, no reply" in result.output


@pytest.mark.slow
def test_the_worst_verdict_of_all_files_counts(checked: Checking) -> None:
    files = [str(HISTORIES / "redis/history_101.jsonl.gz")]
    result = checked([CREATE, FIRST, SECOND, LOST], *files)
    assert result.exit_code == 1
    assert "redis/history_101: 3775 calls, 0 callbacks, 879 tasks: violated" in result.output


def test_only_three_violations_of_a_law_are_drawn_unless_all_are_requested(checked: Checking) -> None:
    calls = [text.replace("6f1c2a52", f"{number:08}") for number in range(5) for text in (CREATE, FIRST, SECOND)]
    few, every = checked(calls), checked(calls, "--all")
    assert few.output.count("A task is in one worker's hands") == 3
    assert "one-lease: 2 more; --all prints them." in few.output
    assert every.output.count("A task is in one worker's hands") == 5
    assert "more; --all" not in every.output


def test_texts_of_callers_are_shown_unchanged(checked: Checking) -> None:
    result = checked([CREATE, FIRST.replace('\\"payload\\": \\"{}\\"', '\\"payload\\": \\"[red]\\"')])
    assert "was created with payload '{}' and delivered with '[red]'." in result.output


@pytest.mark.parametrize("broken", ["{", '{"kind": "call"}', CREATE.replace("createdAt", "bornAt")])
def test_a_file_that_cannot_be_judged_is_neither_valid_nor_violated(checked: Checking, broken: str) -> None:
    result = checked([broken])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert "two_workers" in result.output


def test_a_missing_file_cannot_be_judged() -> None:
    assert CliRunner().invoke(main, ["check", "nowhere.jsonl"]).exit_code == 2
