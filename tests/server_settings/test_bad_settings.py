"""Bad settings of the command: each is named in one line, with the way to correct it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from codeq_fake.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

STATIC = {"PRODUCER_AUTH_PROVIDER": "static", "WORKER_AUTH_PROVIDER": "static", "WORKER_AUTH_CONFIG": '"token"'}


def started(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environ)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "given.yaml"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("flag", "value", "way_out"),
    [
        ("--profile", "mysql", "redis, kvrocks-2.8, kvrocks-2.9, v0.3.3/redis"),
        ("--clock", "sundial", "'real', 'manual'"),
        ("--port", "70000", "0<=x<=65535"),
        ("--port", "http", "is not a valid integer"),
        ("--journal-size", "-1", "x>=0"),
        ("--start-at", "tomorrow", "an RFC 3339 time such as 2026-01-31T12:00:00Z belongs"),
    ],
)
@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_bad_flag_is_named_with_what_is_allowed(flag: str, value: str, way_out: str, by: str) -> None:
    variable = f"CODEQ_FAKE_{flag[2:].upper().replace('-', '_')}"
    given = started("serve", flag, value) if by == "flag" else started("serve", **{variable: value})
    *_, line = given.stderr.splitlines()
    assert given.exit_code == 2
    assert flag in line
    assert way_out in line


@pytest.mark.parametrize(
    ("environ", "named", "way_out"),
    [
        ({"PORT": "http"}, "PORT", "it must be a whole number"),
        ({"PORT": "70000"}, "PORT", "it must be a port from 1 to 65535"),
        ({"TRACING_ENABLED": "perhaps"}, "TRACING_ENABLED", "it must be true, 1 or yes, or else false, 0 or no"),
        ({"CODEQ_CONFIG_PATH": "/none.yaml"}, "CODEQ_CONFIG_PATH", "name a YAML file or unset it"),
        (STATIC | {"PRODUCER_AUTH_CONFIG": "{"}, "PRODUCER_AUTH_CONFIG", "no valid JSON"),
        (STATIC, "PRODUCER_AUTH_CONFIG", "give the provider's JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("command", [("serve",), ("run", "--", "true")], ids=lambda command: command[0])
def test_a_bad_variable_is_named_in_one_line(
    command: tuple[str, ...], environ: dict[str, str], named: str, way_out: str
) -> None:
    refused = started(*command, **environ)
    (line,) = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert line.startswith(f"codeq-fake: {named}")
    assert way_out in line


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("rateLimit: [", "correct it or leave it out"),
        ("- env", "it must map names of settings to values"),
        ("timezone: Mars/Olympus", "it must be an IANA name such as UTC or Europe/Rome"),
        ("env: \x00", "correct it or leave it out"),
    ],
)
def test_a_bad_yaml_file_is_named_in_one_line(file: Path, text: str, way_out: str) -> None:
    file.write_text(text)
    refused = started("serve", CODEQ_CONFIG_PATH=str(file))
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 2
    assert way_out in line


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("{", "no valid YAML or JSON"),
        ("[]", "it must map names to {kind, token, claims}"),
        (json.dumps({"ann": {"kind": "boss"}}), "it must be producer or worker"),
    ],
)
def test_a_bad_identities_file_is_named_in_one_line(file: Path, text: str, way_out: str) -> None:
    file.write_text(text)
    refused = started("serve", "--identities", str(file))
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 2
    assert line.startswith(f"codeq-fake: {file}")
    assert way_out in line


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\xfe", "give YAML or JSON in UTF-8")])
def test_an_identities_file_that_is_no_text_is_named_in_one_line(
    file: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        file.write_bytes(content)
    refused = started("serve", "--identities", str(file))
    *_, line = refused.stderr.splitlines()
    assert refused.exit_code == 2
    assert "given.yaml" in line
    assert reason in line


@pytest.mark.port
@pytest.mark.parametrize("command", [("serve",), ("run",)], ids=lambda command: command[0])
def test_a_taken_port_is_named_with_the_way_out(taken: int, command: tuple[str, ...]) -> None:
    refused = started(*command, "--port", str(taken), *(["--", "true"] if command == ("run",) else []))
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"codeq-fake: cannot listen on 127.0.0.1 port {taken}: Address already in use; "
        "choose another with --port (0 picks a free one) or --host\n"
    )


@pytest.mark.port
def test_an_address_that_is_not_this_machines_is_named_with_the_way_out() -> None:
    refused = started("serve", "--host", "203.0.113.9", "--port", "0", "--no-control")
    (line,) = refused.stderr.splitlines()
    assert refused.exit_code == 1
    assert line.startswith("codeq-fake: cannot listen on 203.0.113.9 port 0: ")
    assert line.endswith("or --host")


@pytest.mark.process
def test_n6_an_unknown_backoff_policy_is_none_of_these() -> None:
    assert started("run", "--", "true", BACKOFF_POLICY="bogus").exit_code == 0
