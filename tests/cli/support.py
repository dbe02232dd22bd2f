"""The command codeq-fake, in a process and in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import httpx
from click.testing import CliRunner

from codeq_fake.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

COMMAND = (sys.executable, "-W", "error", "-c", "from codeq_fake.__main__ import main; main()")


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODEQ", "PRODUCER", "WORKER"))}
    return {**kept, "CODEQ_FAKE_ENV_FILE": os.devnull, **variables}


class Served:
    """A running server: its first line, and its client."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        self.told: dict[str, Any] = json.loads(self.line) if self.line.startswith("{") else {}
        self.url = self.told.get("url") or self.line.split(" ")[0]

    def get(self, path: str, token: str = "dev-token") -> httpx.Response:
        return self._call("GET", path, token)

    def post(self, path: str, body: Any, token: str = "dev-token") -> httpx.Response:
        return self._call("POST", path, token, json=body)

    def _call(self, method: str, path: str, token: str, **content: Any) -> httpx.Response:
        """One request. It loads no certificates, which takes longer than the request."""
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(verify=self.url.startswith("https:"), trust_env=False, headers=headers) as http:
            return http.request(method, f"{self.url}{path}", **content)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it; returns its exit code and standard error."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=5)
        return self.process.returncode, said


def serving(*arguments: str, **variables: str) -> AbstractContextManager[Served]:
    """Run `codeq-fake serve`, by default on a free port."""
    return serving_in(None, *arguments, **variables)


@contextmanager
def serving_in(folder: Path | None, *arguments: str, **variables: str) -> Iterator[Served]:
    """The same, with `folder` as its working directory."""
    command = [*COMMAND, "serve", *arguments]
    if "PORT" not in variables and "--port" not in arguments and "CODEQ_FAKE_PORT" not in variables:
        command += ["--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
        cwd=folder,
    ) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


def run_process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `codeq-fake` to its end, in another process."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(**variables), timeout=20, check=False
    )


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `codeq-fake` to its end, in this process. What the commands print that it runs comes first."""
    keys = [name for name in os.environ if name.startswith(("CODEQ", "PRODUCER", "WORKER"))]
    isolated = {**dict.fromkeys(keys), "CODEQ_FAKE_ENV_FILE": os.devnull, **variables}
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        with descriptor_to(1, stdout), descriptor_to(2, stderr):
            done = CliRunner().invoke(main, arguments, env=isolated, catch_exceptions=False)
        for file in (stdout, stderr):
            file.seek(0)
        printed = stdout.read() + done.stdout, stderr.read() + done.stderr
    return subprocess.CompletedProcess(arguments, done.exit_code, *printed)


@contextmanager
def descriptor_to(number: int, file: IO[str]) -> Iterator[None]:
    """Let a descriptor of this process, and of those that it starts, be a file."""
    kept = os.dup(number)
    os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def refused(*arguments: str, **variables: str) -> tuple[int, str]:
    """The exit code and message of a refused command."""
    done = run(*arguments, **variables)
    assert done.stdout == ""
    return done.returncode, done.stderr
