""".env files: what they set, and what overrides them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from codeq_fake.serving.server import listen
from tests.cli.support import environment, refused, run, serving_in

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
# What both the server and the command read.
export CODEQ_FAKE_CLOCK=manual
CODEQ_FAKE_START_AT="2026-01-31T12:00:00Z"
CODEQ_FAKE_PROFILE='redis'
CODEQ_FAKE_JSON=1
CODEQ_FAKE_WEBHOOK_ALLOW="a.example b.example"
MAX_ATTEMPTS_DEFAULT=7
GREETING=hello ${NAME:-you}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text(FILE, encoding="utf-8")
    return tmp_path


@pytest.mark.process
def test_the_env_file_of_the_working_directory_is_read(folder: Path) -> None:
    with serving_in(folder, CODEQ_FAKE_ENV_FILE="") as server:
        assert (server.told["profile"], server.told["now"]) == ("redis", "2026-01-31T12:00:00Z")
        assert server.post("/v1/codeq/tasks", {"command": "A", "payload": 1}).json()["maxAttempts"] == 7


@pytest.mark.process
def test_the_start_line_says_where_a_setting_comes_from_that_is_not_a_flag(folder: Path) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    (folder / ".env").write_text(f"PORT={port}\nCODEQ_FAKE_CLOCK=manual\nBACKOFF_POLICY=linear\n", encoding="utf-8")
    (folder / "codeq.yaml").write_text("timezone: UTC\nsharding: {shards: 2}\nredisAddr: a:1\n", encoding="utf-8")
    variables = {"CODEQ_FAKE_ENV_FILE": "", "CODEQ_CONFIG_PATH": "codeq.yaml", "BACKOFF_POLICY": "fixed"}
    with serving_in(folder, "--start-at", "2026-01-31T12:00:00Z", **variables, CODEQ_FAKE_PORT="") as server:
        assert server.line == (
            f"http://127.0.0.1:{port}  profile kvrocks-2.8  manual clock at 2026-01-31T12:00:00Z  "
            "settings: CODEQ_FAKE_CLOCK from .env, BACKOFF_POLICY from the environment, PORT from .env, "
            "timezone from codeq.yaml  tokens: producer dev-token, worker dev-token, admin dev-token  "
            f"page: http://127.0.0.1:{port}/_fake/\n"
        )
        assert server.stop() == (0, "codeq-fake: codeq.yaml: sharding is not read\n")
    with serving_in(folder, "--port", "0", "--json", "--clock", "manual", **variables) as server:
        assert server.told["origins"] == {"BACKOFF_POLICY": "the environment", "timezone": "codeq.yaml"}


@pytest.mark.process
def test_another_file_can_be_named(folder: Path) -> None:
    (folder / "other.env").write_text("CODEQ_FAKE_JSON=1\nCODEQ_FAKE_PROFILE=kvrocks-2.9", encoding="utf-8")
    with serving_in(folder, "--env-file", "other.env") as server:
        assert (server.told["profile"], server.told["clock"]) == ("kvrocks-2.9", "real")


@pytest.mark.process
def test_flags_override_the_environment_which_overrides_the_file(folder: Path) -> None:
    variables = {"CODEQ_FAKE_ENV_FILE": "", "CODEQ_FAKE_PROFILE": "kvrocks-2.9", "MAX_ATTEMPTS_DEFAULT": "8"}
    with serving_in(folder, "--start-at", "2027-01-31T12:00:00Z", **variables) as server:
        assert (server.told["profile"], server.told["now"]) == ("kvrocks-2.9", "2027-01-31T12:00:00Z")
        assert server.post("/v1/codeq/tasks", {"command": "A", "payload": 1}).json()["maxAttempts"] == 8


@pytest.mark.process
def test_run_passes_the_file_to_its_command(folder: Path) -> None:
    program = "import os; print(os.environ['GREETING'])"
    done = run("run", "--env-file", str(folder / ".env"), "--", sys.executable, "-c", program)
    assert (done.stdout, done.stderr) == ("hello you\n", "")
    assert "GREETING" not in environment()


@pytest.mark.process
def test_a_variable_that_looks_like_a_typo_is_reported() -> None:
    typos = {"CODEQ_FAKE_CLOK": "manual", "CODEQ_FAKE_IMAGE": "x", "BACKOF_POLICY": "fixed", "CODEQ_FAKE_JSON": "1"}
    done = run("run", "true", **typos)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "codeq-fake: BACKOF_POLICY is not read; BACKOFF_POLICY is",
        "codeq-fake: CODEQ_FAKE_CLOK is not read; CODEQ_FAKE_CLOCK is",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"A=1\nB C\n", " line 2: NAME=value belongs here"),
        (b"\xff", ": not text (invalid start byte)"),
        (b"CODEQ_FAKE_PROFILE=mysql", "Invalid value for '--profile': 'mysql' is not one of"),
        (b"BACKOFF_BASE_SECONDS=soon", "BACKOFF_BASE_SECONDS: found 'soon'"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "my.env"
    file.write_bytes(content)
    code, said = refused("serve", "--env-file", str(file))
    assert code == 2
    assert reason in said


def test_a_named_file_must_exist() -> None:
    code, said = refused("serve", "--env-file", "nowhere.env")
    assert (code, said) == (2, "codeq-fake: --env-file nowhere.env: No such file or directory\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"B C\n", "line 1: NAME=value belongs here"), (b"\xff", "not text (invalid start byte)")],
)
def test_an_error_in_the_default_file_names_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(content)
    code, said = refused("serve", CODEQ_FAKE_ENV_FILE="")
    assert (code, said.replace(".env:", ".env")) == (2, f"codeq-fake: .env {reason}\n")


def test_a_default_file_that_cannot_be_read_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the server would start with other settings than its owner wrote down."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"PORT=1")

    def deny(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", deny)
    assert refused("serve", "--profile", "mysql", CODEQ_FAKE_ENV_FILE="") == (
        2,
        "codeq-fake: .env: Permission denied\n",
    )


def test_a_folder_with_the_name_of_the_default_file_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some give it to their virtual environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").mkdir()
    code, said = refused("serve", "--profile", "mysql", CODEQ_FAKE_ENV_FILE="")
    assert (code, "'--profile'" in said) == (2, True)
