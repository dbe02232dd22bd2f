"""`codeq-contract identities` and `init`: from nothing to a configuration with which a run passes."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from click.testing import CliRunner, Result

from codeq_contract.cli import main
from codeq_contract.driver import Setup
from codeq_contract.driver.identities import claims_in
from codeq_contract.driver.preflight import check_callers
from codeq_contract.driver.targets import Deployment
from codeq_contract.suite.options import CALLERS, Options
from codeq_fake.testing import FakeCodeQ

URL = "https://codeq.example"


def call(*arguments: object, **variables: str) -> Result:
    return CliRunner(env=variables).invoke(main, list(map(str, arguments)))


def minted(folder: Path, *options: str) -> dict[str, str]:
    done = call("identities", "mint", folder, *options)
    assert done.exit_code == 0, done.output
    tokens: dict[str, str] = json.loads((folder / "tokens.json").read_text())
    assert not [token for token in tokens.values() if token in done.output], "no secret is shown"
    return tokens


def settings(folder: Path) -> dict[str, str]:
    lines = (folder / "server.env").read_text().splitlines()
    return {
        name: value.removeprefix("'").removesuffix("'") for name, _, value in (line.partition("=") for line in lines)
    }


@pytest.mark.port
@pytest.mark.parametrize(("provider", "callers"), [("jwks", set(CALLERS)), ("static", {"producer", "worker", "admin"})])
def test_a_server_with_the_settings_accepts_all_tokens(tmp_path: Path, provider: str, callers: set[str]) -> None:
    folder = tmp_path / "ids"
    keys = (folder / "jwks.json").as_uri()
    tokens = minted(folder, "--provider", provider, "--jwks-url", keys)
    assert tokens.keys() == callers
    with (
        FakeCodeQ(settings=settings(folder), clock="real").serve() as server,
        Deployment(server.url, tokens, {}).start(Setup()) as driver,
    ):
        check_callers(server.url, driver)


@pytest.mark.slow
def test_the_keys_stay_when_tokens_are_renewed(tmp_path: Path) -> None:
    first, keys = minted(tmp_path), (tmp_path / "jwks.json").read_text()
    second = minted(tmp_path, "--days", "90", "--tenant", "acme")
    assert (tmp_path / "jwks.json").read_text() == keys
    lives = [claims["exp"] - claims["iat"] for tokens in (first, second) if (claims := claims_in(tokens["worker"]))]
    assert lives == [30 * 86_400, 90 * 86_400]
    assert (claims_in(second["other_worker"]) or {})["tenantId"] == "acme-theirs"


@pytest.mark.parametrize("provider", ["jwks", "static"])
def test_only_public_keys_can_be_read_by_others(tmp_path: Path, provider: str) -> None:
    folder = tmp_path / "ids"
    minted(folder, "--provider", provider)
    assert call("init", tmp_path / "suite.yaml", "--url", URL, "--identities", folder).exit_code == 0
    files = [*folder.iterdir(), tmp_path / "suite.yaml"]
    assert {file.name for file in files if file.stat().st_mode & 0o077} <= {"jwks.json"}
    assert folder.stat().st_mode & 0o077 == 0
    assert '"d"' not in (folder / "jwks.json").read_text() if provider == "jwks" else len(files) == 3


@pytest.mark.parametrize("text", ["{}", "[]", "[", '{"keys": []}', '{"keys": [{"kty": "RSA", "kid": "k1"}]}'])
def test_a_folder_with_other_keys_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    done = call("identities", "mint", tmp_path)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert f"{tmp_path / 'keys.json'}: " in done.output


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_public_keys_are_served_on_loopback_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    minted(tmp_path)
    command = [sys.executable, "-m", "codeq_contract", "identities", "serve", str(tmp_path), "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        shown = process.stdout.readline()
        [url] = re.findall(r"^(http://127\.0\.0\.1:\d+/jwks\.json) serves the keys", shown)
        assert httpx.get(url, trust_env=False).text.strip() == json.dumps(
            json.loads((tmp_path / "jwks.json").read_text())
        )
        assert httpx.get(url.replace("jwks", "keys"), trust_env=False).status_code == 404
        process.send_signal(number)
        assert process.wait(60) == 0, process.stdout.read()


def test_a_configuration_has_what_was_given_and_comments_for_the_rest(tmp_path: Path) -> None:
    tokens, file = minted(tmp_path / "ids"), tmp_path / "suite.yaml"
    webhook = ("--webhook-bind", "0.0.0.0:8099", "--webhook-advertise", "http://me:8099")
    done = call("init", file, "--url", URL, "--profile", "redis", "--identities", tmp_path / "ids", *webhook)
    assert (done.exit_code, tokens["worker"] in done.output) == (0, False)
    options = Options.read({"config": str(file)}, {})
    assert (options.target, options.url, options.profile, options.tokens) == ("url", URL, "redis", tokens)
    assert (options.webhook_bind, options.webhook_advertise) == ("0.0.0.0:8099", "http://me:8099")


def test_any_text_comes_back_from_a_configuration(tmp_path: Path) -> None:
    file, command = tmp_path / "suite.yaml", "./token \"a\" 'b' \\ # ä😀: {c}"
    assert call("init", file, "--url", URL, "--token-command", command).exit_code == 0
    assert Options.read({"config": str(file)}, {}).token_command == command


def test_each_comment_of_a_configuration_is_an_option_once_its_mark_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    assert call("init", file, "--url", URL, "--token-command", "./token.sh").exit_code == 0
    text = re.sub(r"^# (?=(\w+:|  ))", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)
    options = Options.read({"config": str(file)}, {})
    assert (options.profile, options.webhook_bind, options.report) == ("kvrocks-2.8", "0.0.0.0:8099", "report")
    assert options.tokens.keys() == set(CALLERS)
    assert options.settings == {"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "1"}
    assert yaml.safe_load(text).keys() >= {"without", "level", "token_command", "webhook_advertise"}


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("mine")
    done = call("init", file, "--url", URL, "--token-command", "x")
    assert (done.exit_code, file.read_text()) == (2, "mine")
    assert f"{file} exists already" in done.output


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, "--url: the target url needs one"),
        (("--url", URL), {}, "there is no token of a producer; --identities or --token-command gives it"),
        (("--url", URL), {"CODEQ_CONTRACT_PRODUCER_TOKEN": "p"}, "there is no token of a worker"),
        (("--url", URL, "--token-command", "x", "--webhook-bind", "8099"), {}, "--webhook-bind: found '8099'"),
        (("--url", URL, "--identities", "/nowhere"), {}, "`codeq-contract identities mint` writes it"),
    ],
)
def test_without_a_terminal_what_is_missing_is_told_and_no_file_is_written(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    done = call("init", tmp_path / "suite.yaml", *arguments, **variables)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert not [*tmp_path.iterdir()]


class Terminal(io.BytesIO):
    """What a user types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_at_a_terminal_it_asks_and_shows_no_token(tmp_path: Path) -> None:
    file, typed = tmp_path / "suite.yaml", f"{URL}\nredis\nthe-producer's\nthe-worker's\n"
    done = CliRunner().invoke(main, ["init", str(file)], input=Terminal(typed.encode()))
    assert done.exit_code == 0, done.output
    assert "the-" not in done.output
    options = Options.read({"config": str(file)}, {})
    assert options.tokens == {"producer": "the-producer's", "worker": "the-worker's"}
    assert (options.url, options.profile) == (URL, "redis")
