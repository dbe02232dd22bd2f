"""`--faults FILE`, `--races` and `codeq-fake faults`: rules from the start, and a report of unmatched ones."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from click.testing import CliRunner

from codeq_fake.cli import main
from codeq_fake.testing import FakeCodeQ
from tests.cli.support import refused, run, serving
from tests.faults.support import claim, complete, heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES = """
- {on: create, do: refuse, status: 429, retryAfter: 1, times: 1}
- {on: claim, worker: worker-9, do: revoke_lease}
- {on: claim, nth: 2, do: reset}
"""
CREATE = {"command": "A", "payload": 1}


@pytest.mark.process
def test_rules_of_a_file_are_active_and_unmatched_ones_are_reported_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(RULES, encoding="utf-8")
    with serving("--faults", str(file)) as server:
        answers = [server.post("/v1/codeq/tasks", CREATE).status_code for _ in range(2)]
        assert server.post("/v1/codeq/tasks/claim", {"commands": ["A"]}).status_code == 200
        assert [fault["met"] for fault in server.get("/_fake/faults").json()["faults"]] == [2, 0, 1]
        code, said = server.stop()
    assert (answers, code) == ([429, 202], 0)
    seen = "meanwhile there was 2 create, 1 claim"
    assert said.splitlines() == [
        f"codeq-fake: the fault rule revoke_lease on=claim worker=worker-9 has met nothing; {seen}",
        f"codeq-fake: the fault rule reset on=claim nth=2 has met 1 of the 2 that it counts; {seen}",
    ]


@pytest.mark.process
def test_connections_die_on_the_servers_event_loop(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text("[{do: reset, nth: 1}, {do: drop_reply, nth: 2}, {do: garble, nth: 3}]", encoding="utf-8")
    with serving("--faults", str(file)) as server:
        for error in (httpx.ReadError, httpx.RemoteProtocolError, httpx.RemoteProtocolError):
            with pytest.raises(error):
                server.post("/v1/codeq/tasks", CREATE)
        assert server.post("/v1/codeq/tasks", CREATE).status_code == 202
        assert server.stop() == (0, "")


@pytest.mark.process
def test_the_races_are_active_and_not_reported_if_unmatched() -> None:
    with serving("--races", "observed", "--races-seed", "5") as server:
        faults = server.get("/_fake/faults").json()["faults"]
        code, said = server.stop()
    assert [(fault["do"], fault["seed"]) for fault in faults] == [
        ("redeliver_finished", 5),
        ("lose_task", 6),
        ("revoke_lease", 7),
        ("false_empty", 8),
        ("accept_result_twice", 9),
        ("double_create", 10),
    ]
    assert (code, said) == (0, "")


@pytest.mark.process
def test_run_takes_them_too(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"do": "refuse"}]', encoding="utf-8")
    done = run("run", "--faults", str(file), "--", sys.executable, "-c", "")
    assert (done.returncode, done.stderr) == (
        0,
        "codeq-fake: the fault rule refuse has met nothing; meanwhile there was nothing at all\n",
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"- {do: rest}", "rule 1: do: there is no kind 'rest'; known are drop_reply"),
        (b"- {do: reset, on: clam}", "rule 1: on: 'clam' is not an operation or a route"),
        (b"{", "no YAML or JSON: line 1: expected the node content"),
        (b"\xff", "not text (invalid start byte); give YAML or JSON in UTF-8"),
    ],
)
def test_a_bad_file_is_an_error_before_the_start(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "faults.yaml"
    file.write_bytes(content)
    code, said = refused("serve", "--faults", str(file))
    assert code == 2
    assert f"--faults {file}: {text}" in said


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    with FakeCodeQ() as fake, fake.serve():
        yield fake


def asked(fake: FakeCodeQ, *arguments: str) -> list[list[str]]:
    """The cells of each line that ``codeq-fake faults`` prints."""
    done = CliRunner().invoke(main, ["faults", *arguments], env={"CODEQ_BASE_URL": fake.url})
    assert done.exit_code == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.port
def test_rules_are_added_listed_and_removed_by_command(fake: FakeCodeQ) -> None:
    assert asked(fake, "list") == [["no", "faults"]]
    added = asked(fake, "add", "{on: claim, do: refuse, status: 429, nth: 2}", '{"do": "hang", "worker": "w"}')
    with fake.client() as http:
        claim(http)
        claim(http)
    assert asked(fake, "list") == [
        ["n", "do", "on", "how", "met", "fired"],
        ["1", "refuse", "claim", "nth=2", "status=429", "2", "1"],
        ["2", "hang", "worker=w", "0", "0"],
    ]
    assert [line[:2] for line in added] == [["n", "do"], ["1", "refuse"], ["2", "hang"]]
    assert asked(fake, "remove", "1")[1][:2] == ["1", "refuse"]
    assert asked(fake, "clear") == [["1", "removed"]]
    assert asked(fake, "list", "--json") == [['{"faults":', "[]}"]]


@pytest.mark.port
def test_a_fault_is_added_by_a_sentence(fake: FakeCodeQ) -> None:
    url = {"CODEQ_BASE_URL": fake.url}
    added = CliRunner().invoke(main, ["fault", "lose", "the reply to the", "next", "result"], env=url)
    assert [line.split() for line in added.stdout.splitlines()][1] == ["1", "drop_reply", "submit", "times=1", "0", "0"]
    assert "answer 503 to the next 3 claims\n" in CliRunner().invoke(main, ["fault"], env=url).stdout
    misread = CliRunner().invoke(main, ["fault", "loose the reply to the next result"], env=url)
    assert (misread.exit_code, "did you mean lose the reply" in misread.stderr) == (2, True)


@pytest.mark.port
@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{do: rest}", "{do: rest}: do: there is no kind 'rest'; known are drop_reply"),
        ("{", "{: not YAML or JSON (line 1: expected the node content"),
        ("{do: reset, on: clam}", "on: 'clam' is not an operation or a route"),
    ],
)
def test_a_bad_rule_is_an_error_of_the_command(fake: FakeCodeQ, rule: str, text: str) -> None:
    done = CliRunner().invoke(main, ["faults", "add", rule], env={"CODEQ_BASE_URL": fake.url})
    assert done.exit_code in (1, 2)
    assert text in done.stderr
    assert asked(fake, "clear") == [["0", "removed"]]


@pytest.mark.port
def test_the_journals_name_the_faults_of_requests_and_callbacks(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A", webhook="http://127.0.0.1:9/done")
    with fake.client() as http, fake.faults({"do": "callback_lost"}, {"do": "reset", "on": "heartbeat"}):
        claim(http)
        with suppress(httpx.ReadError):
            heartbeat(http, task.id)
        complete(http, task.id)
        fake.advance(0)
    rows = [listed(fake, journal) for journal in ("requests", "callbacks")]
    assert [row.partition("/v1/codeq/tasks/")[2].split() for row in rows[0][1:]] == [
        ["claim", "200", task.id, "A", "0"],
        [f"{task.id}/heartbeat", "no", "reply", "reset", task.id, "A", "0"],
        [f"{task.id}/result", "200", task.id, "A", "0"],
    ]
    assert rows[1][1].endswith("lost by a fault rule (callback_lost)")


def listed(fake: FakeCodeQ, journal: str) -> list[str]:
    return CliRunner().invoke(main, [journal], env={"CODEQ_BASE_URL": fake.url}).stdout.splitlines()
