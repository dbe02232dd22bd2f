"""What a start does not load: each of these takes some of its time, and is only needed later, or never."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

#: Libraries, and parts of Python, that only some requests or options need.
RARE = {
    "anyio",
    "difflib",
    "email",
    "hmac",
    "http.client",
    "httpx",
    "importlib.resources",
    "jinja2",
    "joserfc",
    "multipart",
    "prometheus_client",
    "python_multipart",
    "rich",
    "starlette.routing",
    "tempfile",
    "uuid",
    "yaml",
}
#: Modules of ours that only some requests, or other commands, need.
LATE = {
    "codeq_fake.cli.control_client",
    "codeq_fake.clause_coverage.coverage",
    "codeq_fake.control.routes",
    "codeq_fake.http.redirects",
    "codeq_fake.page",
}
#: Modules of ours that a server may need later, and a fake in process needs at once.
LATE_ON_PORT = {"codeq_fake.control.controls", "codeq_fake.control.state_file", "codeq_fake.in_process"}
#: What serves a port, and what it loads itself.
SERVER = {"click", "httptools", "uvicorn"}
OF_SERVER = {"email", "tempfile", "uuid"}


def test_a_fake_in_process_loads_no_server_and_no_library() -> None:
    loaded = loaded_by("import codeq_fake.testing")
    assert loaded & (RARE | LATE | SERVER) == set()


def test_a_server_that_is_ready_has_loaded_nothing_that_only_some_requests_need() -> None:
    # It is ended when it begins to load in advance what later requests need.
    program = """
from contextlib import contextmanager
from codeq_fake.cli import main
from codeq_fake.serving import server

@contextmanager
def loading_ahead():
    raise KeyboardInterrupt
    yield

server.loading_ahead = loading_ahead
main(["serve", "--port", "0", "--quiet"], standalone_mode=False)
"""
    loaded = loaded_by(program)
    assert loaded >= SERVER
    assert loaded & ((RARE - OF_SERVER) | LATE | LATE_ON_PORT | {"concurrent.futures.process"}) == set()


def loaded_by(program: str) -> set[str]:
    """The modules that a new interpreter has loaded after this program."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules: list[str] = ast.literal_eval(done.stdout.splitlines()[-1])
    return set(modules)
