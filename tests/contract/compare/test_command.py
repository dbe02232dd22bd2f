"""The command `codeq-contract compare`: its output, its report, and what it says of a wrong set-up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from codeq_contract.cli import main
from codeq_contract.suite.options import Options
from tests.contract.compare.support import RIGHT, MutantTarget


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["compare", *arguments])
    return done.exit_code, done.output


@pytest.mark.slow
def test_the_same_servers_have_no_difference_and_the_report_says_so(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code, printed = run("asgi", "asgi", "--requests", "40", "--seed", "7", "--report", str(report))
    assert code == 0, printed
    assert "seed 7" in printed
    assert "0 kinds of differences" in printed
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["seed"], written["differences"], written["requests"] >= 40) == (7, [], True)


@pytest.mark.slow
def test_a_difference_is_printed_with_its_requests_and_both_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.json"
    targets = iter([RIGHT, MutantTarget("redis", mutant="C3.12/2")])
    monkeypatch.setattr(Options, "chosen_target", lambda _: next(targets))
    code, printed = run("asgi", "asgi", "--kinds", "1", "--seed", "1", "--report", str(report))
    assert code == 1, printed
    assert "webhook" in printed
    assert "        left:  " in printed
    [difference] = json.loads(report.read_text(encoding="utf-8"))["differences"]
    assert [step["request"].partition(" ")[0] for step in difference["steps"]] == ["POST"]
    [value] = difference["values"]
    assert value["left"] != value["right"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["asgi", "./nothing"], "--server ./nothing: there is no such file; give the path of the program"),
        (["asgi", "http://127.0.0.1:1"], "a comparison creates tasks and subscriptions there; --yes allows that"),
        (["asgi", "http://127.0.0.1:1", "--yes"], "--producer-token: the target url needs one"),
        (["asgi", "asgi", "--profile", "etcd"], "--profile: found 'etcd'; it must be one of "),
        (["asgi", "asgi", "--requests", "1", "--minutes", "1"], "--minutes: found --requests as well"),
        (["asgi", "none.yaml"], "--config none.yaml: "),
    ],
)
def test_a_wrong_set_up_is_told_in_words(arguments: list[str], says: str) -> None:
    code, printed = run(*arguments)
    assert (code, says in printed) == (2, True), printed
