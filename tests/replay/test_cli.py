from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codeq_contract.cli import main
from codeq_contract.recordings.shipped import FOLDER

STORY = FOLDER / "v0.3.3" / "redis" / "late_result.jsonl.gz"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def altered(tmp_path: Path) -> Path:
    """A recording in which the first call, a create, was answered as no server does."""
    text = gzip.decompress(STORY.read_bytes()).decode()
    path = tmp_path / "altered.jsonl"
    path.write_text(text.replace('"status":202', '"status":418', 1))
    return path


def test_no_difference_is_success() -> None:
    result = run("replay", STORY, STORY)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "redis/late_result: 18 calls, 0 callbacks: 0 differences",
        "redis/late_result: 18 calls, 0 callbacks: 0 differences",
        "2 recordings: 0 differences",
    ]


@pytest.mark.parametrize("option", [(), ("--named-identities",)])
def test_a_difference_is_shown_and_is_failure(altered: Path, option: tuple[str, ...]) -> None:
    result = run("replay", *option, altered)
    assert result.exit_code == 1
    assert result.output == (
        "call 1  POST /v1/codeq/tasks  [R1 B1-B3 C1-C8 T1]\n  status\n    theirs: 418\n    ours:   202\n\n"
        "redis/late_result: 18 calls, 0 callbacks: 1 difference\n"
        "1 recording: 1 difference\n"
    )


def test_a_recording_of_an_unknown_profile_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "unknown.jsonl"
    path.write_text(gzip.decompress(STORY.read_bytes()).decode().replace('"redis"', '"v9/redis"', 1))
    replayed, checked = run("replay", path), run("check", path)
    assert (replayed.exit_code, checked.exit_code) == (2, 2)
    assert "the profile 'v9/redis' is none of redis, " in replayed.output
    assert "did you mean redis? Write another one into its first line" in replayed.output
    assert "the profile 'v9/redis' is of a version that is none of v0.3.3, main" in checked.output


def test_a_recorder_refuses_an_unknown_profile_with_the_nearest(tmp_path: Path) -> None:
    refused = run("record", "--url", "http://127.0.0.1:1", "--out", tmp_path / "x.jsonl", "--profile", "main/pebbel")
    assert (refused.exit_code, "did you mean main/pebble?" in refused.output) == (2, True)


def test_at_most_20_differences_of_a_call_are_printed(tmp_path: Path) -> None:
    text = gzip.decompress(STORY.read_bytes()).decode()
    header, first, *_ = text.splitlines()
    call = json.loads(first)
    call["reply"] = call["reply"].replace("{", "{" + "".join(f'"field{number}":0,' for number in range(50)), 1)
    path = tmp_path / "altered.jsonl"
    path.write_text(f"{header}\n{json.dumps(call)}\n")
    result = run("replay", path)
    assert (result.exit_code, result.output.count("    theirs: ")) == (1, 20)
    assert result.output.splitlines()[-4:] == [
        "call 1  and 30 more differences",
        "",
        "redis/late_result: 1 call, 0 callbacks: 50 differences",
        "1 recording: 50 differences",
    ]


def test_a_file_that_cannot_be_read_is_neither_success_nor_failure(tmp_path: Path) -> None:
    missing = run("replay", tmp_path / "missing.jsonl")
    assert missing.exit_code == 2
    assert "No such file" in missing.output
    nonsense = tmp_path / "nonsense.jsonl"
    nonsense.write_text("nonsense\n")
    refused = run("replay", nonsense)
    assert refused.exit_code == 2
    assert "nonsense.jsonl, line 1" in refused.output


@pytest.mark.port
def test_a_url_without_a_server_is_neither_success_nor_failure() -> None:
    result = run("replay", "--url", "http://127.0.0.1:1", STORY)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_files_must_be_named() -> None:
    assert run("replay").exit_code == 2


def test_help_lists_the_exit_codes() -> None:
    result = run("replay", "--help")
    assert result.exit_code == 0
    assert "Exit status: 0 no difference, 1 differences, 2 it could not be run." in " ".join(result.output.split())
