"""The command codeq-fake: what it prints, where it takes its settings from, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from threading import Timer
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from codeq_fake import __version__, journal
from codeq_fake.cli import main
from codeq_fake.cli.serve import serve
from codeq_fake.serving.server import listen
from tests.cli.support import COMMAND, environment, refused, run, run_process, serving
from tests.surroundings import interrupted_at_import

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLAIM = "/v1/codeq/tasks/claim"

#: The end takes tenths of a second, but more on a busy machine. What must not hold it up would take 15 s or more.
SOON = 8


# serve: what it says.


@pytest.mark.process
def test_serve_says_in_one_line_where_it_is_and_how_to_call_it() -> None:
    with serving("--clock", "manual", "--start-at", "2026-01-31T12:00:00Z", "--profile", "redis") as server:
        url = r"http://127\.0\.0\.1:\d+"
        tokens = "producer dev-token, worker dev-token, admin dev-token"
        line = rf"{url}  profile redis  manual clock at 2026-01-31T12:00:00Z  tokens: {tokens}  page: {url}/_fake/\n"
        assert re.fullmatch(line, server.line)
        assert server.post("/v1/codeq/tasks", {"command": "A", "payload": 1}).status_code == 202
        assert server.stop() == (0, "")


@pytest.mark.process
def test_serve_says_the_same_as_json() -> None:
    with serving("--json", "--clock", "manual", "--start-at", "2026-01-31T12:00:00.5Z") as server:
        assert server.line == json.dumps(server.told) + "\n"
        assert server.told == {
            "url": server.url,
            "profile": "kvrocks-2.8",
            "clock": "manual",
            "now": "2026-01-31T12:00:00.5Z",
            "tokens": {"producer": "dev-token", "worker": "dev-token", "admin": "dev-token"},
            "page": f"{server.url}/_fake/",
        }
        assert server.get("/_fake/clock").json() == {"now": "2026-01-31T12:00:00.5Z", "mode": "manual"}


@pytest.mark.process
def test_serve_loads_the_page_before_its_first_visitor_who_would_hold_up_all_others() -> None:
    with serving(PYTHONPROFILEIMPORTTIME="1") as server:
        assert server.process.stderr is not None
        Timer(SOON, server.process.kill).start()
        assert any("codeq_fake.page.pages" in line for line in server.process.stderr)


@pytest.mark.process
def test_the_clock_runs_from_the_present_unless_told_otherwise() -> None:
    with serving("--json") as server:
        assert server.told["clock"] == "real"
        earlier, later = (server.get("/_fake/clock").json()["now"] for _ in range(2))
        assert server.told["now"] < earlier < later


@pytest.mark.process
def test_each_flag_is_also_an_environment_variable(tmp_path: Path) -> None:
    identities = tmp_path / "identities.yaml"
    identities.write_text('{"ann": {"kind": "producer", "claims": {"sub": "ann", "role": "ADMIN"}}}', encoding="utf-8")
    with serving(
        CODEQ_FAKE_JSON="1",
        CODEQ_FAKE_HOST="localhost",
        CODEQ_FAKE_PORT="0",
        CODEQ_FAKE_PROFILE="kvrocks-2.9",
        CODEQ_FAKE_CLOCK="manual",
        CODEQ_FAKE_START_AT="2026-01-31T12:00:00Z",
        CODEQ_FAKE_IDENTITIES=str(identities),
        CODEQ_FAKE_CONTROL_TOKEN="open",
        CODEQ_FAKE_JOURNAL_SIZE="1",
        CODEQ_FAKE_WEBHOOK_ALLOW="a.example b.example",
        PORT="1",
    ) as server:
        assert server.told["tokens"] == {"producer": "ann", "worker": None, "admin": "ann"}
        assert (server.told["profile"], server.told["now"]) == ("kvrocks-2.9", "2026-01-31T12:00:00Z")
        server.get("/metrics")
        server.get("/metrics")
        assert [entry["n"] for entry in server.get("/_fake/requests", token="open").json()["requests"]] == [2]
        assert server.get("/_fake/health").status_code == 401


@pytest.mark.process
def test_no_control_leaves_the_contract_alone() -> None:
    with serving("--no-control") as server:
        assert "page" not in server.line
        reply = server.get("/_fake/health")
        assert (reply.status_code, reply.text) == (404, "404 page not found")
        assert server.get("/metrics").status_code == 200
        assert server.stop() == (0, "")


@pytest.mark.process
def test_on_an_address_that_others_reach_control_is_off_and_that_is_said() -> None:
    with serving("--host", "0.0.0.0", "--control-token", "") as server:  # noqa: S104 - that is the point
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
        assert server.get("/_fake/health").status_code == 404
        _, said = server.stop()
    assert said == (
        "codeq-fake: the control API is off: other machines reach 0.0.0.0, and there is no --control-token\n"
    )


@pytest.mark.process
def test_a_token_opens_control_on_any_address() -> None:
    with serving("--host", "0.0.0.0", "--control-token", "open") as server:  # noqa: S104 - as above
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
        assert server.get("/_fake/health").status_code == 401
        assert server.get("/_fake/health", token="open").status_code == 200


# serve: the real server's own settings.


@pytest.mark.process
def test_the_real_servers_variables_are_read(tmp_path: Path) -> None:
    yaml = tmp_path / "codeq.yaml"
    yaml.write_text("timezone: UTC\nmaxAttemptsDefault: 4\ndefaultLeaseSeconds: 7\n", encoding="utf-8")
    with listen("127.0.0.1", 0) as free:
        port = str(free.getsockname()[1])
    with serving(
        "--json",
        "--clock",
        "manual",
        "--start-at",
        "2026-01-31T12:00:00Z",
        PORT=port,
        CODEQ_CONFIG_PATH=str(yaml),
        MAX_ATTEMPTS_DEFAULT="9",
        PRODUCER_AUTH_PROVIDER="static",
        PRODUCER_AUTH_CONFIG='{"token": "p", "subject": "x", "raw": {"tenantId": "t"}}',
        WORKER_AUTH_PROVIDER="static",
        WORKER_AUTH_CONFIG=(
            '{"token": "w", "subject": "y", "scopes": ["codeq:claim"], "eventTypes": ["*"], "raw": {"tenantId": "t"}}'
        ),
        REDIS_ADDR="store:6379",
    ) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert server.told["tokens"] == {"producer": "p", "worker": "w", "admin": "p"}
        created = server.post("/v1/codeq/tasks", {"command": "A", "payload": 1}, token="p").json()
        claimed = server.post(CLAIM, {"commands": ["A"]}, token="w").json()
    assert (created["maxAttempts"], created["createdAt"], created["tenantId"]) == (9, "2026-01-31T12:00:00Z", "t")
    assert (claimed["leaseUntil"], claimed["workerId"]) == ("2026-01-31T12:00:07Z", "y")


@pytest.mark.process
def test_a_port_that_is_given_wins_over_the_real_servers() -> None:
    with serving("--port", "0", "--json", PORT="1") as server:
        assert not server.url.endswith(":1")


@pytest.mark.process
def test_signed_tokens_are_told_as_such() -> None:
    config = json.dumps({"jwksUrl": "http://127.0.0.1:1/", "issuer": "i", "audience": "a"})
    settings = {
        f"{side}_AUTH_{what}": value for side in ("PRODUCER", "WORKER") for what, value in (("CONFIG", config),)
    }
    with serving("--clock", "manual", **settings) as server:
        assert f"  tokens: signed ones only  page: {server.url}/_fake/\n" in server.line
    with serving("--json", **settings) as server:
        assert server.told["tokens"] == {"producer": None, "worker": None, "admin": None}


# serve: its end.


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("clock", ["real", "manual"])
def test_a_signal_ends_it_soon_with_parked_polls_answered(number: signal.Signals, clock: str) -> None:
    with serving("--json", "--clock", clock) as server:
        host, port = server.url.removeprefix("http://").split(":")
        body = '{"commands":["A"],"waitSeconds":30}'
        request = (
            f"POST {CLAIM} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        with socket.create_connection((host, int(port)), timeout=5) as poll:
            poll.sendall(request.encode())
            # Answered in turn: once the second request is, the first is parked.
            assert server.get("/_fake/requests").json() == {"requests": []}
            server.process.send_signal(number)
            assert poll.recv(1000).startswith(b"HTTP/1.1 204 No Content\r\n")
        _, said = server.process.communicate(timeout=SOON)
        assert (server.process.returncode, said) == (0, "")


@pytest.mark.process
@pytest.mark.parametrize("module", ["click", "uvicorn", "codeq_fake.core"])
def test_an_interrupt_while_it_is_loaded_ends_it_without_a_traceback(module: str) -> None:
    done = interrupted_at_import(module, "codeq-fake", "serve", "--port", "0", environ=environment())
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.strip() in ("", "Aborted!")


@pytest.mark.process
@pytest.mark.parametrize("command", ["'serve', '--port', '0'", "'run', 'sleep', '5'"])
def test_what_the_first_callback_needs_is_loaded_beside_the_server(command: str) -> None:
    """Loaded by the server itself it would stop all requests for some tenths of a second."""
    program = f"""
import os, signal, sys, threading
from codeq_fake.cli import main

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "codeq_fake.webhooks.transport":
            print("beside" if threading.current_thread() is not threading.main_thread() else "in its way", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
main([{command}])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=20, check=False
    )
    assert done.stdout.splitlines()[-1] == "beside"
    assert done.stderr == ""


@pytest.mark.process
def test_a_callback_that_hangs_does_not_hold_the_end_up() -> None:
    with listen("127.0.0.1", 0) as deaf, serving("--json") as server:
        webhook = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        task = server.post("/v1/codeq/tasks", {"command": "A", "payload": 1, "webhook": webhook}).json()
        server.post(CLAIM, {"commands": ["A"]})
        server.post(f"/v1/codeq/tasks/{task['id']}/result", {"status": "COMPLETED", "result": {}})
        server.process.terminate()
        _, said = server.process.communicate(timeout=SOON)
        assert (server.process.returncode, said) == (0, "")


# What is refused: one line, exit code 1 where the machine says no, 2 where the caller does.


@pytest.mark.port
def test_a_taken_port_is_named_with_the_way_out() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for command in (("serve",), ("run", "--port", str(port), "true")):
            code, said = refused(*command, PORT=str(port))
            assert code == 1
            assert said == (
                f"codeq-fake: cannot listen on 127.0.0.1 port {port}: Address already in use; "
                "choose another with --port (0 picks a free one) or --host\n"
            )


@pytest.mark.parametrize(
    ("arguments", "variables", "text"),
    [
        (["--profile", "mysql"], {}, "Invalid value for '--profile'"),
        (["--port", "70000"], {}, "Invalid value for '--port'"),
        ([], {"CODEQ_FAKE_PORT": "x"}, "Invalid value for '--port'"),
        (["--clock", "fast"], {}, "Invalid value for '--clock'"),
        (["--prot", "1"], {}, "No such option"),
        (["--reaper-phase", "1"], {}, "kvrocks-2.8 has no reaper"),
        (["--start-at", "noon"], {}, "--start-at: found 'noon' where an RFC 3339 time such as 2026-01-31T12:00:00Z"),
        (["--webhook-allow", "http://a"], {}, "--webhook-allow: 'http://a' is neither a host name, nor an address"),
        (["--identities", "nowhere.yaml"], {}, "--identities nowhere.yaml: No such file or directory"),
        ([], {"BACKOFF_BASE_SECONDS": "soon"}, "BACKOFF_BASE_SECONDS: found 'soon'"),
        ([], {"PRODUCER_AUTH_PROVIDER": "ldap"}, "PRODUCER_AUTH_PROVIDER: found 'ldap'"),
        ([], {"WORKER_AUTH_PROVIDER": "static", "WORKER_AUTH_CONFIG": "{"}, "WORKER_AUTH_CONFIG: no valid JSON"),
        ([], {"CODEQ_CONFIG_PATH": "nowhere.yaml"}, "CODEQ_CONFIG_PATH: 'nowhere.yaml' cannot be read"),
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["run"]])
def test_what_cannot_be_meant_is_named(
    command: list[str], arguments: list[str], variables: dict[str, str], text: str
) -> None:
    end = ["true"] if command == ["run"] else []
    code, said = refused(*command, *arguments, *end, **variables)
    last = said.strip().splitlines()[-1]
    assert code == 2
    assert text in last
    assert last.startswith(("codeq-fake: ", "Error: "))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a: [", "no valid YAML or JSON"),
        (b"\xff", "not text (invalid start byte); give YAML or JSON in UTF-8"),
        (b"ann: {kind: boss}", "ann has kind 'boss'; it must be producer or worker"),
    ],
)
def test_identities_that_cannot_be_meant_are_named_with_their_file(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "identities.yaml"
    file.write_bytes(content)
    code, said = refused("serve", "--identities", str(file))
    assert code == 2
    assert str(file) in said
    assert text in said
    assert said.count("\n") == 1


# run.


@pytest.mark.process
def test_run_gives_a_command_a_fake_and_ends_with_its_exit_code() -> None:
    program = (
        "import json, os, sys, urllib.request\n"
        "told = {k: v for k, v in os.environ.items() if k.startswith('CODEQ_') and 'FAKE' not in k}\n"
        "health = json.load(urllib.request.urlopen(told['CODEQ_BASE_URL'] + '/_fake/health'))\n"
        "print(json.dumps([sorted(told), health['profile'], health['clock']]))\n"
        "sys.exit(7)\n"
    )
    done = run_process("run", "--profile", "redis", "--clock", "manual", "--", sys.executable, "-c", program)
    variables = ["CODEQ_ADMIN_TOKEN", "CODEQ_BASE_URL", "CODEQ_PRODUCER_TOKEN", "CODEQ_WORKER_TOKEN"]
    assert json.loads(done.stdout) == [variables, "redis", "manual"]
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.process
@pytest.mark.parametrize("separator", [["--"], []])
def test_what_follows_the_command_is_the_commands_own(separator: Sequence[str]) -> None:
    done = run("run", *separator, "echo", "--port", "1", "--help", "-x")
    assert (done.returncode, done.stdout) == (0, "--port 1 --help -x\n")


@pytest.mark.process
def test_run_says_why_a_command_cannot_be_run(tmp_path: Path) -> None:
    done = run("run", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (
        127,
        "codeq-fake: cannot run no-such-command: No such file or directory\n",
    )
    plain = tmp_path / "plain"
    plain.write_text("", encoding="utf-8")
    done = run("run", "--", str(plain))
    assert (done.returncode, done.stderr) == (126, f"codeq-fake: cannot run {plain}: Permission denied\n")


@pytest.mark.process
def test_run_tells_at_the_end_what_surprised_the_command() -> None:
    program = (
        "import os, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(os.environ['CODEQ_BASE_URL'] + '/healthz')\n"
        "except urllib.error.HTTPError: print('404', flush=True)\n"
    )
    for arguments, lines in (([], 1), (["--quiet"], 0)):
        done = run("run", *arguments, "--", sys.executable, "-c", program, LOG_LEVEL="debug")
        assert (done.returncode, done.stdout) == (0, "404\n")
        assert done.stderr.count("codeq-fake: surprise: documented: GET /healthz") == lines
        assert len(done.stderr.splitlines()) == lines


@pytest.mark.process
@pytest.mark.parametrize("excepted", [{}, {"NO_PROXY": "a.test"}, {"no_proxy": "a.test", "NO_PROXY": "b.test"}])
def test_a_command_beside_a_fake_calls_it_directly(excepted: dict[str, str]) -> None:
    program = (
        "import os, urllib.request\n"
        "urllib.request.urlopen(os.environ['CODEQ_BASE_URL'] + '/metrics')\n"
        "print(os.environ['no_proxy'])\n"
    )
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
    absent = dict.fromkeys(("NO_PROXY", "no_proxy"), "")
    done = run("run", "--", sys.executable, "-c", program, **proxies, **absent | excepted)
    before = "a.test," if excepted else ""
    assert (done.stdout, done.stderr) == (f"{before}localhost,127.0.0.1,::1\n", "")


@pytest.mark.process
def test_without_proxies_a_command_has_the_variables_of_its_caller() -> None:
    program = "import os; print([name for name in os.environ if 'proxy' in name.lower()])"
    done = run("run", "--", sys.executable, "-c", program)
    assert done.stdout == f"{[name for name in environment() if 'proxy' in name.lower()]}\n"


@pytest.mark.process
def test_a_command_beside_a_fake_may_drive_it() -> None:
    command = f"{sys.executable} -c 'from codeq_fake.__main__ import main; main()' advance 5"
    done = run("run", "--control-token", "open", "--clock", "manual", "--", "sh", "-c", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": nothing was due\n")


def test_run_without_a_command_is_misuse() -> None:
    code, said = refused("run")
    assert (code, said.splitlines()[-1]) == (2, "Error: Missing argument 'COMMAND...'.")


@pytest.mark.process
def test_a_signal_that_ended_the_command_is_told() -> None:
    done = run("run", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 128 + 9


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_to_the_command(number: signal.Signals) -> None:
    program = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [*COMMAND, "run", "--", sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=5)
    assert (process.returncode, said) == (9, "")


# Help.


@pytest.mark.parametrize("columns", [80, 60])
def test_the_demo_is_told_whole_on_a_narrow_terminal(columns: int) -> None:
    done = CliRunner().invoke(main, ["demo"], env={"COLUMNS": str(columns)})
    assert done.exit_code == 0
    assert "delayed" in done.stdout
    assert "codeq-fake serve" in " ".join(done.stdout.splitlines()[-2:])
    assert "\u2026" not in done.stdout
    assert all(len(line) <= columns for line in done.stdout.splitlines()[:-1])


@pytest.mark.process
def test_the_version_is_told() -> None:
    assert run_process("--version").stdout == f"codeq-fake, version {__version__}\n"


@pytest.mark.parametrize("command", [(), *((name,) for name in main.list_commands(click.Context(main)))])
@pytest.mark.parametrize(("columns", "widest"), [("72", 72), ("200", 110)])
def test_each_command_explains_itself_in_lines_that_fit(
    command: Sequence[str],
    columns: str,
    widest: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    main([*command, "--help"], prog_name="codeq-fake", standalone_mode=False)
    told = capsys.readouterr()
    assert told.out.startswith("Usage: codeq-fake ")
    assert (told.err, max(map(len, told.out.splitlines())) <= widest) == ("", True)


def test_help_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    main(["-h"], prog_name="codeq-fake", standalone_mode=False)
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_help_names_every_option_of_the_two_ways_to_start() -> None:
    shared = ["host", "port", "profile", "clock", "start-at", "identities", "no-control", "control-token"]
    for command in ("serve", "run"):
        told = CliRunner().invoke(main, [command, "--help"]).stdout
        assert all(f"--{name} " in told for name in [*shared, "webhook-allow", "journal-size", "help"])


def test_the_journals_of_serve_are_as_large_as_those_in_a_test() -> None:
    defaults = {option.name: option.default for option in serve.params}
    assert (defaults["journal_size"], defaults["journal_bytes"]) == (journal.DEFAULT_SIZE, journal.DEFAULT_BYTES)


@pytest.mark.process
def test_help_loads_no_server() -> None:
    program = (
        "import sys\nfrom codeq_fake.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'asyncio', 'codeq_fake.core', 'uvicorn', 'httpx', 'starlette', 'rich', 'yaml', 'joserfc'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
