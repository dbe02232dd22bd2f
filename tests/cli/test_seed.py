"""Seed files: what a fake starts with, and the errors of invalid entries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from codeq_fake.control.seed_files import Seed, SeedError, read_seed
from codeq_fake.testing import FakeCodeQ
from tests.cli.support import refused, serving

if TYPE_CHECKING:
    from pathlib import Path

START = "2026-01-31T12:00:00Z"
SEED = """
tasks:
  - command: GENERATE_MASTER
    payload: {jobId: "1", due: 2026-02-01, pages: [1, 2.50]}
    priority: 12
    maxAttempts: 3
    webhook: http://127.0.0.1:9/done
    idempotencyKey: first
    id: 6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01
  - {command: PACK, payload: null-and-void, tenant: acme, runAt: 2026-01-31T13:00:00Z}
  - {command: GENERATE_MASTER, payload: 0, idempotencyKey: first, priority: ~}
subscriptions:
  - callbackUrl: http://127.0.0.1:9/ready
    eventTypes: [PACK]
    deliveryMode: group
    groupId: g
    ttlSeconds: 60
    minIntervalSeconds: 1
    id: s-1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "seed.yaml"
    file.write_text(SEED, encoding="utf-8")
    return file


def test_a_fake_starts_with_the_seed_and_sends_no_notices(file: Path) -> None:
    with FakeCodeQ(now=START, filled_from=file) as fake:
        master, pack = fake.tasks()
        assert (master.id, master.payload) == (
            "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01",
            {"jobId": "1", "due": "2026-02-01", "pages": [1, 2.5]},
        )
        assert (master.priority, master.max_attempts, master.tenant) == (9, 3, "dev")
        assert (pack.tenant, pack.location) == ("acme", "DELAYED_ZSET")
        [subscription] = fake.state()["broker"]["subscriptions"]
        assert (subscription["id"], subscription["commands"], subscription["group"]) == ("s-1", ["pack"], "g")
        assert fake.callbacks == []


def test_the_default_tenant_is_that_of_the_producers_token(file: Path) -> None:
    file.write_text("tasks: [{command: A, payload: 1}]", encoding="utf-8")
    ann = {"ann": {"kind": "producer", "claims": {"sub": "ann", "tenantId": "acme"}}}
    with FakeCodeQ(filled_from=file, identities=ann) as fake:
        assert [task.tenant for task in fake.tasks()] == ["acme"]


def test_with_signed_tokens_a_task_must_name_its_tenant(file: Path) -> None:
    file.write_text("tasks:\n- {command: A, payload: 1}", encoding="utf-8")
    config = json.dumps({"jwksUrl": "http://127.0.0.1:1/", "issuer": "i", "audience": "a"})
    settings = {"PRODUCER_AUTH_CONFIG": config, "WORKER_AUTH_CONFIG": config}
    with pytest.raises(SeedError, match=r"line 2, tasks\[0\]: tenant is missing"):
        FakeCodeQ(filled_from=file, settings=settings)


@pytest.mark.process
def test_serve_creates_the_seed_unless_there_is_a_saved_state(file: Path, tmp_path: Path) -> None:
    arguments = ("--seed", str(file), "--persist", str(tmp_path / "state.json"), "--clock", "manual")
    for _ in range(2):
        with serving(*arguments, "--start-at", START) as server:
            assert len(server.get("/_fake/tasks").json()["tasks"]) == 2
            assert server.stop() == (0, "")


@pytest.mark.parametrize("text", ["", "# nothing", "tasks: []"])
def test_a_seed_may_be_empty(text: str) -> None:
    assert read_seed("seed.yaml", text) == Seed()


@pytest.mark.parametrize(
    ("text", "line", "entry", "reason"),
    [
        ("tasks: [", 1, "", "no valid YAML (expected the node content, but found '<stream end>')"),
        ("a\tb: \x00", 1, "", "no valid YAML (unacceptable character"),
        ("- a", 1, "", "a mapping of tasks and subscriptions belongs here"),
        ("\ntask: []", 2, "task", "unknown; known are tasks and subscriptions"),
        ("tasks: 1", 1, "tasks", "a list belongs here"),
        ("tasks:\n- A", 2, "tasks[0]", "found a text where a mapping belongs"),
        ("tasks:\n- !x {}", 2, "tasks[0]", "could not determine a constructor for the tag '!x'"),
        ("tasks:\n- command: A", 2, "tasks[0]", "payload is missing"),
        ("tasks:\n- payload: 1", 2, "tasks[0]", "command is missing"),
        ("tasks:\n- command: A\n  payload: 1\n  prority: 1", 4, "tasks[0].prority", "unknown; known are id, tenant, "),
        (
            f"tasks:\n- {{command: A, payload: 1, maxAttempts: {2**63}}}",
            2,
            "tasks[0].maxAttempts",
            f"found {2**63}, a whole number of at most 64 bits belongs here",
        ),
        (
            f"subscriptions:\n- {{callbackUrl: 'http://a', ttlSeconds: {-(2**63) - 1}}}",
            2,
            "subscriptions[0].ttlSeconds",
            f"found {-(2**63) - 1}, a whole number of at most 64 bits belongs here",
        ),
        (
            "tasks:\n- command: A\n  payload: 1\n  priority: high",
            4,
            "tasks[0].priority",
            "found 'high', a whole number",
        ),
        ("tasks:\n- command: A\n  payload: .nan", 3, "tasks[0].payload", "not a JSON value ("),
        ("tasks:\n- command: A\n  payload: {? [1] : 2}", 3, "tasks[0]", "found unhashable key"),
        ("tasks:\n- {command: A, payload: 1}\n- {command: ' ', payload: 1}", 3, "tasks[1]", "invalid command"),
        ("tasks:\n- {command: A, payload: 1, webhook: x}", 2, "tasks[0]", "invalid webhook url"),
        ("tasks:\n- {command: A, payload: 1, runAt: noon}", 2, "tasks[0]", "invalid 'runAt' (use RFC3339)"),
        ("tasks:\n- &a {command: A, payload: 1, id: x}\n- *a", 2, "tasks[1].id", "x is taken"),
        ("subscriptions:\n- {}", 2, "subscriptions[0]", "callbackUrl is missing"),
        ("subscriptions:\n- callbackUrl: x", 2, "subscriptions[0]", "invalid callback url"),
        (
            "subscriptions:\n- callbackUrl: http://a\n  eventTypes: A",
            3,
            "subscriptions[0].eventTypes",
            "found 'A', a list",
        ),
    ],
)
def test_an_invalid_entry_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, entry: str, reason: str
) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SeedError) as caught:
        FakeCodeQ(filled_from=file)
    assert (caught.value.line, caught.value.entry) == (line, entry)
    place = f"{file} line {line}, {entry}" if entry else f"{file} line {line}"
    assert str(caught.value).startswith(f"{place}: {reason}")


@pytest.mark.port
def test_an_invalid_seed_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text("tasks:\n- command: A\n- {command: ' ', payload: 1}", encoding="utf-8")
    assert refused("run", "--seed", str(file), "true") == (
        2,
        f"codeq-fake: {file} line 2, tasks[0]: payload is missing\n",
    )
    file.write_text("tasks:\n- {command: ' ', payload: 1}", encoding="utf-8")
    assert refused("serve", "--port", "0", "--seed", str(file)) == (
        2,
        f"codeq-fake: {file} line 2, tasks[0]: invalid command\n",
    )
    assert refused("serve", "--seed", "nowhere.yaml") == (
        2,
        "codeq-fake: --seed nowhere.yaml: No such file or directory\n",
    )
