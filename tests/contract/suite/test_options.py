"""The sources of options, and the values that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeq_contract.driver.targets import Deployment, InProcessTarget
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
        ({"profile": "mysql"}, "--profile: found 'mysql'; it must be one of redis, "),
        ({"profile": "main/rediss"}, "--profile: found 'rediss'; .*; did you mean redis"),
        ({"profile": "mani/redis"}, "--profile: found 'mani'; it must be one of v0.3.3, main; did you mean main"),
        (
            {"contract": "v0.3.4"},
            "--contract: found 'v0.3.4'; it must be one of v0.3.3, main, auto; did you mean v0.3.3",
        ),
        ({"contract": "main", "profile": "v0.3.3/redis"}, "--contract: found 'main' and --profile v0.3.3/redis"),
        ({"fact": "G1.1"}, "--fact: found 'G1.1', which the contract of v0.3.3 does not have"),
        ({"fact": "S6.8", "contract": "main"}, "--fact: found 'S6.8', which the contract of main does not have"),
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


@pytest.mark.parametrize(
    ("given", "version", "fake"),
    [
        ({}, "v0.3.3", "v0.3.3/kvrocks-2.8"),
        ({"profile": "redis"}, "v0.3.3", "v0.3.3/redis"),
        ({"profile": "main/redis"}, "main", "main/redis"),
        ({"contract": "main", "profile": "redis"}, "main", "main/redis"),
        ({"contract": "auto", "profile": "main/redis"}, "", "main/redis"),
        ({"contract": "auto"}, "", "v0.3.3/kvrocks-2.8"),
    ],
)
def test_a_fake_has_the_version_that_is_checked(given: dict[str, str], version: str, fake: str) -> None:
    options = Options.read(given, {})
    target = options.chosen_target()
    assert isinstance(target, InProcessTarget)
    assert (options.version, f"{target.version}/{target.profile}") == (version, fake)


def test_a_real_server_is_asked_for_its_version_unless_it_is_given() -> None:
    assert Options.read(DEPLOYMENT, {}).version == ""
    assert Options.read({**DEPLOYMENT, "contract": "main"}, {}).version == "main"
    assert Options.read({**DEPLOYMENT, "profile": "v0.3.3/redis"}, {}).version == "v0.3.3"


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


@pytest.mark.parametrize("text", ["[" * 1000, "target: !!int ''", "target: !!bool x", "1: a\nb: c", "\x00", "[a]"])
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
