"""The command `codeq`: create, recreate, get, wait and stats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from codeq_client import task_cli
from codeq_fake import faults
from codeq_fake.testing import FakeCodeQ

pytestmark = pytest.mark.port


@pytest.fixture(scope="module")
def served() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        yield fake


@pytest.fixture
def server(served: FakeCodeQ) -> FakeCodeQ:
    served.reset()
    return served


def invoke(server: FakeCodeQ, *arguments: str, given: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(task_cli.main, arguments, env=server.env, input=given)
    return result.exit_code, result.stdout, result.stderr


def test_a_task_is_created_and_read(server: FakeCodeQ) -> None:
    options = ["--priority", "3", "--max-attempts", "2", "--key", "k"]
    code, printed, _ = invoke(server, "create", "X", '{"a": 1}', *options)
    task_id = printed.strip()
    assert (code, server.task(task_id).payload, server.task(task_id).priority) == (0, {"a": 1}, 3)
    assert invoke(server, "create", "X", *options)[1] == printed, "the same key"
    shown = json.loads(invoke(server, "get", task_id)[1])
    assert (shown["id"], shown["payload"], shown["max_attempts"], shown["status"]) == (task_id, {"a": 1}, 2, "PENDING")


def test_each_line_of_a_file_makes_a_task(server: FakeCodeQ, tmp_path: Path) -> None:
    options = {"maxAttempts": 3, "runAt": "2030-01-01T00:00:00+00:00"}
    lines = [{"command": "X", "payload": number, **options} for number in range(1, 6)]
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    code, printed, errors = invoke(server, "create", "--file", str(file))
    assert (code, errors) == (0, "")
    assert [server.task(task_id).payload for task_id in printed.split()] == [1, 2, 3, 4, 5]


def test_a_rejected_line_is_named_and_the_others_are_created(server: FakeCodeQ) -> None:
    given = '{"command": "X", "payload": 1}\n{"command": "X", "payload": null}\n{"command": "X", "payload": 3}\n'
    code, printed, errors = invoke(server, "create", "--file", "-", given=given)
    assert (code, len(printed.split()), len(server.tasks(command="X"))) == (1, 2, 2)
    assert errors.startswith("line 2: ")
    assert errors.endswith("Error: 1 of 3 tasks were not created\n")


@pytest.mark.parametrize(
    ("nth", "created", "last"),
    [
        (2, 100, "line 201 and those that follow: not sent\nError: 500 of 600 tasks were not created\n"),
        (3, 200, "line 201 and those that follow: not sent\nError: Unauthorized: "),
    ],
    ids=["within a part", "before a part"],
)
def test_an_outage_ends_a_file(
    server: FakeCodeQ, monkeypatch: pytest.MonkeyPatch, nth: int, created: int, last: str
) -> None:
    monkeypatch.setattr(task_cli, "TASKS_PER_PART", 200)
    given = "\n".join(json.dumps({"command": "X", "payload": number}) for number in range(1, 601))
    with server.faults(faults.refuse(401, on="create_batch", nth=nth)):
        code, printed, errors = invoke(server, "create", "--file", "-", given=given)
    assert (code, len(printed.split()), len(server.requests)) == (1, created, nth), "no other part is tried"
    assert last in errors


def test_blank_lines_and_a_byte_order_mark_are_passed_over(server: FakeCodeQ) -> None:
    given = '\ufeff{"command": "X", "payload": 1}\n\n{"command": "X", "payload": null}\n \n'
    code, printed, errors = invoke(server, "create", "--file", "-", given=given)
    assert (code, len(printed.split())) == (1, 1)
    assert errors.startswith("line 3: ")


def test_a_payload_without_end_is_refused_in_a_line(server: FakeCodeQ) -> None:
    assert invoke(server, "create", "X", "[" * 1_000_000)[2].endswith("Error: PAYLOAD is nested too deeply\n")


@pytest.mark.parametrize("levels", [800, 2_000, 9_990])  # json reads from 1,000 to 65,000, by Python's version
def test_a_deep_payload_or_result_is_shown_or_refused_in_a_line(server: FakeCodeQ, levels: int) -> None:
    deep = "[" * levels + "]" * levels
    with server.client() as http:
        task_id = http.post("/v1/codeq/tasks", content=f'{{"command":"X","payload":{deep}}}').json()["id"]
        http.post("/v1/codeq/tasks/claim", json={"commands": ["X"]})
        result = f'{{"status":"COMPLETED","result":{{"a":{deep}}}}}'
        assert http.post(f"/v1/codeq/tasks/{task_id}/result", content=result).is_success
    for command in ("get", "wait"):
        code, printed, errors = invoke(server, command, task_id)
        assert (bool(printed), errors.count("\n")) == ((True, 0) if code == 0 else (False, 1)), command
        assert code == 0 or "nested too deeply" in errors or "recursion depth" in errors, command
        assert len(printed) < 4 * levels, "deep values are not indented"


def test_what_a_server_says_controls_no_terminal(server: FakeCodeQ) -> None:
    task = server.enqueue("X", {"a": "\x9b31m\x1b]0;owned\x07"})
    shown = invoke(server, "get", task.id)[1]
    assert json.loads(shown)["payload"] == {"a": "\x9b31m\x1b]0;owned\x07"}
    assert all(char.isprintable() or char == "\n" for char in shown)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 needs command and payload"),
        ('{"command": "X"}', "line 2 needs command and payload"),
        ('{"command": "X", "payload": 1, "runAt": "soon"}', "line 2: runAt: "),
        ('{"command": "X", "payload": 1, "priority": "high"}', "line 2: priority: expected int, got 'high'"),
        ('{"command": "X", "payload": 1, "delaySeconds": "5"}', "line 2: delaySeconds: expected float, got '5'"),
        ('{"command": "X", "payload": 1, "prio": 2}', "and may have command, payload, priority"),
    ],
)
def test_a_file_with_a_wrong_line_creates_nothing(server: FakeCodeQ, line: str, message: str) -> None:
    code, _, errors = invoke(server, "create", "--file", "-", given='{"command": "X", "payload": 1}\n' + line)
    assert (code, server.tasks()) == (2, [])
    assert message in errors


def test_a_file_in_another_encoding_creates_nothing(server: FakeCodeQ, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_bytes('{"command": "X", "payload": "é"}'.encode("latin-1"))
    code, _, errors = invoke(server, "create", "--file", str(file))
    assert (code, server.tasks()) == (2, [])
    assert "the file is not UTF-8" in errors


def test_a_result_is_waited_for(server: FakeCodeQ) -> None:
    done, failed, waiting = (server.enqueue("X", {}).id for _ in range(3))
    for _ in range(2):
        server.claim("X")
    server.complete(done, {"url": "m"})
    server.fail(failed, "no such master")
    assert invoke(server, "wait", done) == (0, '{\n  "url": "m"\n}\n', "")
    code, _, errors = invoke(server, "wait", failed)
    assert (code, "failed: no such master" in errors) == (1, True)
    code, _, errors = invoke(server, "wait", waiting, "--timeout", "0.1")
    assert (code, "is still PENDING" in errors) == (2, True)


def test_tasks_are_counted(server: FakeCodeQ) -> None:
    server.enqueue("X", {})
    server.enqueue("X", {}, delay=600)
    assert invoke(server, "stats", "X", "LONGER_NAME")[1].splitlines()[1:] == [
        "X                   1         1         0         0",
        "LONGER_NAME         0         0         0         0",
    ]
    counts = json.loads(invoke(server, "stats", "X", "--json")[1])
    assert counts == {"command": "X", "ready": 1, "delayed": 1, "in_progress": 0, "dead": 0}


def test_dead_letters_and_failed_tasks_are_created_again_once(server: FakeCodeQ) -> None:
    dead = server.enqueue("DYING", {"a": 1}, max_attempts=1)
    server.claim("DYING")
    server.nack(dead.id)
    failed = server.enqueue("FAILING", {"a": 2}, priority=7)
    server.claim("FAILING")
    server.fail(failed.id, "no ink")
    code, printed, _ = invoke(server, "recreate", dead.id, failed.id)
    created = [server.task(task_id) for task_id in printed.split()]
    assert (code, [(task.command, task.payload) for task in created]) == (
        0,
        [("DYING", {"a": 1}), ("FAILING", {"a": 2})],
    )
    assert (created[1].priority, created[0].status) == (7, "PENDING")
    assert invoke(server, "recreate", dead.id, failed.id)[1] == printed, "an interrupted command may be repeated"
    assert server.task(dead.id).status == "FAILED", "the old one stays"
    code, _, errors = invoke(server, "recreate", created[0].id)
    assert (code, "is PENDING: only a failed task or a dead letter" in errors) == (2, True)


def test_the_bar_moves_with_each_request(server: FakeCodeQ, monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[int] = []
    bar = click.progressbar(length=600, hidden=True)
    kind: Any = type(bar)

    def update(self: Any, steps: int) -> None:
        moves.append(steps)
        original(self, steps)

    original = kind.update
    monkeypatch.setattr(kind, "update", update)
    monkeypatch.setattr(task_cli, "TASKS_PER_PART", 250)
    given = "\n".join(json.dumps({"command": "X", "payload": number}) for number in range(1, 601))
    code, printed, _ = invoke(server, "create", "--file", "-", given=given)
    assert (code, len(printed.split())) == (0, 600)
    assert moves == [100, 100, 50, 100, 100, 50, 100]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create"], "give either a COMMAND or --file"),
        (["create", "X", "{"], "PAYLOAD is not JSON"),
        (["get", "none"], "TaskNotFound: "),
    ],
    ids=["nothing", "no JSON", "unknown"],
)
def test_wrong_arguments_are_named(server: FakeCodeQ, arguments: list[str], message: str) -> None:
    code, _, errors = invoke(server, *arguments)
    assert code in {1, 2}
    assert message in errors


def test_a_missing_setting_is_named() -> None:
    result = CliRunner().invoke(task_cli.main, ["get", "x"], env={"CODEQ_BASE_URL": ""})
    assert (result.exit_code, "CODEQ_BASE_URL is not set" in result.stderr) == (2, True)
