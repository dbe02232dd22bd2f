"""The sources of options, and the values that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeq_contract.driver.targets import Deployment
from codeq_contract.suite.options import Options, OptionsError

DEPLOYMENT = {"target": "url", "url": "http://127.0.0.1:1"}


def test_an_option_overrides_a_variable_which_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("target: http\nprofile: redis\nlevel: core\n")
    environ = {"CODEQ_CONTRACT_CONFIG": str(file), "CODEQ_CONTRACT_PROFILE": "any", "CODEQ_CONTRACT_TARGET": "asgi"}
    options = Options.read({"target": "url", "url": "http://x", "level": None}, environ)
    assert (options.target, options.profile, options.levels) == ("url", "any", ("core",))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"target": "moon"}, "--target: found 'moon'"),
        ({"profile": "mysql"}, "--profile: found 'mysql'"),
        ({"level": "core,deep"}, "--level: found 'deep'"),
        ({"target": "url"}, "--url: the target url needs one"),
        ({"tokens": {"king": "x"}}, "tokens: found 'king'"),
        ({"config": "/nowhere.yaml"}, "--config /nowhere.yaml: "),
        ({"webhook_bind": "8099"}, "--webhook-bind: found '8099'; it must be HOST:PORT"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, object], error: str) -> None:
    with pytest.raises(OptionsError, match=error):
        Options.read(given, {})


@pytest.mark.parametrize("text", ["tokens: [a]", "level: [core]", "settings: 7", "without: core"])
def test_a_file_with_a_value_of_another_type_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text)
    with pytest.raises(OptionsError, match=f"{text.partition(':')[0]} must not be a "):
        Options.read({"config": str(file)}, {})


def test_a_setting_that_must_be_a_number_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("settings: {BACKOFF_BASE_SECONDS: soon}")
    given = {**DEPLOYMENT, "producer_token": "a", "worker_token": "b", "config": str(file)}
    with pytest.raises(OptionsError, match=r"settings: .*'soon'"):
        Options.read(given, {}).chosen_target()


@pytest.mark.parametrize("text", ["[" * 3000, "target: !!int ''", "target: !!bool x", "1: a\nb: c", "\x00", "[a]"])
def test_a_file_that_is_none_of_options_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text)
    with pytest.raises(OptionsError, match=f"^--config {file}: "):
        Options.read({"config": str(file)}, {})


def test_an_unknown_line_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("colour: red\n")
    with pytest.raises(OptionsError, match="found 'colour'"):
        Options.read({"config": str(file)}, {})


def test_a_deployment_has_the_features_of_its_callers(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("tokens: {worker2: c, worker3: d}\nwithout: [metrics]\nsettings: {BACKOFF_BASE_SECONDS: 2}\n")
    given = {**DEPLOYMENT, "producer_token": "a", "worker_token": "b", "config": str(file)}
    target = Options.read(given, {}).chosen_target()
    assert isinstance(target, Deployment)
    assert target.tokens == {"producer": "a", "worker": "b", "worker2": "c", "worker3": "d"}
    assert "metrics" not in target.features
    assert target.settings == {"BACKOFF_BASE_SECONDS": "2"}


def test_a_deployment_needs_a_producer_and_a_worker() -> None:
    with pytest.raises(OptionsError, match="--worker-token: the target url needs one"):
        Options.read({**DEPLOYMENT, "producer_token": "a"}, {}).chosen_target()


@pytest.mark.process
def test_tokens_may_come_from_a_command_that_knows_only_some_callers(tmp_path: Path) -> None:
    script = tmp_path / "token.sh"
    script.write_text('case $1 in producer|worker|admin) echo "token-of-$1";; *) exit 1;; esac\n')
    target = Options.read({**DEPLOYMENT, "token_command": f"sh {script}"}, {}).chosen_target()
    assert isinstance(target, Deployment)
    assert target.tokens == {name: f"token-of-{name}" for name in ("producer", "worker", "admin")}
