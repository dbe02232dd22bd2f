"""The commands at a terminal of 80 by 24 and 200 by 50, and in a pipe; and one command for each question."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from rich.color import Color
from rich.console import Console

from codeq_client.task_cli import main as tasks_main
from codeq_client.worker_cli import main as worker_main
from codeq_contract.cli import main as contract_main
from codeq_fake.cli import main, tables, top
from codeq_fake.cli.keyboard import keyboard
from codeq_fake.cli.tables import Kind, relative, screen_table
from codeq_fake.cli.tasks import tasks
from codeq_fake.cli.top_screen import View
from codeq_fake.control import task_search
from codeq_fake.testing import FakeCodeQ

if sys.platform != "win32":
    import termios

if TYPE_CHECKING:
    from collections.abc import Iterator

START = "2026-01-31T12:00:00Z"
IDS = [f"{n}e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01" for n in range(5, 9)]
LONG = "GENERATE_A_COMMAND_WITH_A_VERY_LONG_NAME"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "terminal.md"
#: The commands, what a user has typed, and what it may become.
PROGRAMS: dict[str, tuple[click.Command, str, list[str]]] = {
    "codeq-fake": (main, "requ", ["requests", "requeue"]),
    "codeq-worker": (worker_main, "st", ["status"]),
    "codeq": (tasks_main, "cr", ["create"]),
    "codeq-contract": (contract_main, "re", ["report", "replay"]),
}
SIZES = ((80, 24), (200, 50))
TABLES = ("tasks", "queues", "workers", "requests", "callbacks", "surprises", "contract", "faults list")


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeCodeQ]:
    """A fake with something in every table: leases, a dead letter, a callback, refused requests, a fault."""
    with FakeCodeQ(now=START) as fake, fake.serve(), fake.client() as http:
        fake.next(ids=IDS)
        fake.enqueue(LONG, {"name": "customer 17"})
        fake.enqueue(LONG, tenant="acme", delay=60)
        fake.enqueue("PACK", webhook="http://127.0.0.1:1/done", max_attempts=1)
        fake.enqueue("DOOMED", max_attempts=1)
        for command in (LONG, "PACK", "DOOMED"):
            http.post("/v1/codeq/tasks/claim", json={"commands": [command], "leaseSeconds": 600})
        http.post(f"/v1/codeq/tasks/{IDS[2]}/result", json={"status": "COMPLETED", "result": {"pages": 3}})
        # Of a documented field that the server ignores, for a surprise.
        http.post(f"/v1/codeq/tasks/{IDS[3]}/nack", json={"reason": "cannot be done", "willRetry": False})
        http.post("/v1/codeq/tasks", content="no JSON")
        http.post("/v1/codeq/tasks/claim", json={"commands": ["NOPE"]})
        http.post("/v1/codeq/tasks/claim", headers={"authorization": "Bearer unknown"})
        http.post("/_fake/faults", json={"do": "callback_late", "seconds": 30})
        fake.advance(45)
        yield fake


def printed(fake: FakeCodeQ, command: str) -> str:
    done = CliRunner().invoke(main, shlex.split(command), env={"CODEQ_BASE_URL": fake.url}, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def at_terminal(monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    def terminal() -> Console:
        return Console(force_terminal=True, width=width, height=height, color_system=None, legacy_windows=False)

    monkeypatch.setattr(tables, "console", terminal)
    monkeypatch.setattr(top, "console", terminal)


@pytest.mark.port
@pytest.mark.parametrize("size", SIZES)
def test_each_table_fits_a_terminal(fake: FakeCodeQ, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    at_terminal(monkeypatch, *size)
    for command in TABLES:
        lines = printed(fake, command).splitlines()
        assert len(lines) > 1, command
        assert all(len(line) <= size[0] for line in lines), command
    text = printed(fake, "tasks")
    assert IDS[0][:8] in text
    assert IDS[0] not in text
    assert " leased " in text
    assert "45 s ago" in text
    assert "cannot be" in text
    assert "no NOPE for dev" in printed(fake, "workers")
    assert "line 1, column 1:" in printed(fake, "requests")


@pytest.mark.port
def test_in_a_pipe_each_row_is_one_line_of_whole_values(fake: FakeCodeQ) -> None:
    tasks = printed(fake, "tasks").splitlines()
    assert len(tasks) == 1 + len(IDS)
    for line, task in zip(tasks[1:], IDS, strict=True):
        assert task in line
        assert START in line
    assert LONG in tasks[1]
    assert tasks[2].split()[2:5] == ["PENDING", "DELAYED_ZSET", "delayed"]
    refused = printed(fake, "requests --status 400").splitlines()
    assert len(refused) == 2
    assert "line 1, column 1: a value is expected (B1)" in refused[1]
    whole = printed(fake, "top --times 1")
    assert IDS[0] in whole
    assert f"manual clock at {fake.now}" in whole


@pytest.mark.port
@pytest.mark.parametrize("size", SIZES)
def test_top_shows_queues_leases_and_requests_at_once(
    fake: FakeCodeQ, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    at_terminal(monkeypatch, *size)
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", printed(fake, "top --times 1"))
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    for part in ("queues: ", "leases: 1", "requests: ", IDS[0][:8], "in 9 min", "nack", "q quit"):
        assert part in text


UPDATE = {
    "health": {"now": START, "clock": "manual", "profile": "redis"},
    "queues": [],
    "parkedClaims": 0,
    "leases": [],
    "requests": [
        {"n": n, "at": START, "as": "w", "method": "GET", "path": "/x", "status": status, "faults": []}
        for n, status in enumerate((200, 404, None))
    ],
}


def drawn(view: View, width: int, height: int) -> list[str]:
    out = Console(width=width, height=height, record=True, file=StringIO())
    out.print(view.screen("http://fake", UPDATE, width, height))
    return out.export_text().splitlines()


@pytest.mark.parametrize("height", [1, 3, 5, 8, 12])
@pytest.mark.parametrize("width", [1, 20, 79])
def test_top_draws_what_fits_on_a_small_terminal(width: int, height: int) -> None:
    lines = drawn(View(), width, height)
    assert (len(lines) <= height, max(map(len, lines)) <= width) == (True, True)
    assert len(drawn(View(pane="requests"), width, height)) == len(lines)


def test_keys_of_top_choose_what_is_seen() -> None:
    def seen(view: View) -> str:
        return "\n".join(drawn(view, 80, 24))

    view = View()
    assert [word in seen(view) for word in ("no queues", "no leases", "requests: 3")] == [True, True, True]
    view.press("3")
    assert "no queues" not in seen(view)
    view.press("e")
    assert "requests: 2" in seen(view)
    view.press("0")
    assert "no queues" in seen(view)
    view.press("?")
    assert "show this help" in seen(view)
    view.press(" ")
    assert seen(view).startswith("paused  fake")


@pytest.mark.port
def test_a_task_is_shown_with_its_data_and_its_story(fake: FakeCodeQ) -> None:
    told = printed(fake, f"task {IDS[3][:4]}")
    for part in (
        "dead  attempts 2 (at most 1)",
        "payload null",
        "error ",
        "created by dev",
        "nacked for the last time",
    ):
        assert part in told
    assert 'result {"pages": 3}' in printed(fake, f"task {IDS[2][:4]}")
    assert "task_result for" in printed(fake, f"task {IDS[2][:4]}")


@pytest.mark.port
def test_the_beginning_of_an_id_is_enough_if_it_is_of_one_task(fake: FakeCodeQ) -> None:
    assert printed(fake, f"task {IDS[1][:1]}").startswith(f"task {IDS[1]}")
    fake.next(ids=["5e0f-another"])
    fake.enqueue("A")
    done = CliRunner().invoke(main, ["task", "5e0f"], env={"CODEQ_BASE_URL": fake.url})
    assert done.exit_code == 2
    assert (
        f"5e0f is the beginning of several ids: {IDS[0]} ({LONG}, IN_PROGRESS), 5e0f-another (A, PENDING)"
        in done.stderr
    )
    printed(fake, "delete 5e0f-another")


def test_the_command_knows_the_states_of_a_search() -> None:
    (state,) = (option.type for option in tasks.params if option.name == "state")
    assert isinstance(state, click.Choice)
    assert {*state.choices} == {*task_search.STATES}


@pytest.mark.port
@pytest.mark.parametrize(
    ("state", "ids"),
    [("dead", [3]), ("delayed", [1]), ("leased", [0]), ("over", []), ("stuck", [3]), ("completed", [2])],
)
def test_tasks_are_found_by_state(fake: FakeCodeQ, state: str, ids: list[int]) -> None:
    listed = printed(fake, f"tasks --state {state}")
    assert [task in listed for task in IDS] == [n in ids for n in range(len(IDS))]


@pytest.mark.port
def test_each_question_of_the_guide_has_one_command_that_answers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "workers": "no NOPE for dev",
        "requests": "a value is expected",
        "expire": "its lease has run out",
        "resend": "task_result",
        "fault": "drop_reply",
        "tasks --state": "cannot be done",
        "advance": "+1 h: ",
        "curl": "curl -i -X POST",
        "state": "4 tasks in today.json",
        "tasks --text": "customer 17",
    }
    commands = re.findall(r"\| `codeq-fake (.*)` \|", GUIDE.read_text(encoding="utf-8"))[: len(answers)]
    monkeypatch.chdir(tmp_path)
    with FakeCodeQ(now=START) as fake, fake.serve(), fake.client() as http:
        fake.next(ids=["6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01"])
        fake.enqueue("customer 17")
        fake.enqueue("PACK", webhook="http://127.0.0.1:1/done")
        fake.enqueue("DOOMED", max_attempts=1)
        fake.enqueue("LATER", delay=60)
        done = http.post("/v1/codeq/tasks/claim", json={"commands": ["PACK"]}).json()["id"]
        http.post(f"/v1/codeq/tasks/{done}/result", json={"status": "COMPLETED", "result": {}})
        doomed = http.post("/v1/codeq/tasks/claim", json={"commands": ["DOOMED"]}).json()["id"]
        http.post(f"/v1/codeq/tasks/{doomed}/nack", json={"reason": "cannot be done"})
        http.post("/v1/codeq/tasks/claim", json={"commands": ["customer 17"]})
        http.post("/v1/codeq/tasks", content="no JSON")
        http.post("/v1/codeq/tasks/claim", json={"commands": ["NOPE"]})
        for command, (begins, answer) in zip(commands, answers.items(), strict=True):
            assert command.startswith(begins)
            assert answer in printed(fake, command), command


# Without a fake.


def test_ids_are_cut_to_what_tells_them_apart_and_empty_columns_are_left_out() -> None:
    columns = {"id": Kind.ID, "nothing": Kind.TEXT, "at": Kind.TIME, "where": Kind.PIPE}
    rows = [("aaaaaaaa-1-x", None, "1970-01-01T00:00:05Z", "x"), ("aaaaaaaa-2-x", None, "1970-01-01T00:00:00Z", "x")]
    out = Console(width=80, record=True, file=StringIO())
    out.print(screen_table(columns, rows, 0, 80))
    assert [line.split() for line in out.export_text().splitlines()] == [
        ["id", "at"],
        ["aaaaaaaa-1", "in", "5", "s"],
        ["aaaaaaaa-2", "now"],
    ]


@pytest.mark.parametrize(
    ("time", "text"),
    [("1970-01-01T00:01:30Z", "in 1 min"), ("1969-12-31T23:59:20Z", "40 s ago"), ("no time", "no time")],
)
def test_times_are_relative_to_the_fakes_clock(time: str, text: str) -> None:
    assert relative(time, 0) == text


@pytest.mark.parametrize(
    ("state", "color"), [("ready", "cyan"), ("dead", "red"), ("200", "green"), ("409", "yellow"), ("503", "red")]
)
def test_states_have_colors(state: str, color: str) -> None:
    table = screen_table({"state": Kind.STATE}, [(state,)], 0, 80)
    out = Console(width=80, force_terminal=True, color_system="standard", file=StringIO(), legacy_windows=False)
    [segment] = [segment for segment in out.render(table) if segment.text.strip() == state]
    assert segment.style is not None
    assert segment.style.color == Color.parse(color)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals of this kind")
def test_a_key_needs_no_enter_and_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    person, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    with os.fdopen(terminal, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with keyboard() as next_key:
            assert next_key(0) == ""
            os.write(person, b"q")
            assert next_key(5) == "q"
        assert termios.tcgetattr(terminal) == before
    os.close(person)


@pytest.mark.process
def test_bash_completes_commands_and_options() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    program = Path(sys.executable).parent / "codeq-fake"
    ask = f"""{script}
    COMP_WORDS=(codeq-fake requ) COMP_CWORD=1
    _codeq_fake_completion {program}
    echo ${{COMPREPLY[@]}}"""
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["requests", "requeue"]


@pytest.mark.parametrize("shell", [pytest.param("bash", marks=pytest.mark.process), "zsh", "fish"])
def test_the_script_of_each_shell_asks_each_program_by_its_variable(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    for program, (_, begun, completions) in PROGRAMS.items():
        variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
        assert f" {variable}={shell}_complete " in script
        words = {"COMP_WORDS": f"{program} {begun}", "COMP_CWORD": begun if shell == "fish" else "1"}
        told = (
            CliRunner()
            .invoke(PROGRAMS[program][0], prog_name=program, env={variable: f"{shell}_complete", **words})
            .stdout
        )
        assert all(completion in told for completion in completions), told
