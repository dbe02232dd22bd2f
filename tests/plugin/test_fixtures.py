"""The fixtures, as a user of them sees them, and their options."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run


def test_each_test_gets_a_fake_of_its_own(run: Run) -> None:
    test = """
def test_one(codeq):
    assert codeq.tasks() == []
    codeq.enqueue("A", 1)

test_two = test_one
"""
    assert run(test)[1] == 0


def test_marker_goes_before_fixture_goes_before_ini(run: Run) -> None:
    test = """
import pytest

@pytest.fixture
def codeq_options():
    return {"now": "2026-01-31T12:00:00Z"}

@pytest.mark.codeq(profile="kvrocks-2.9")
def test_marked(codeq):
    assert "kvrocks-2.9 at 2026-01-31T12:00:00Z (manual)" in repr(codeq)

def test_plain(codeq):
    assert "redis at 2026-01-31T12:00:00Z" in repr(codeq)
"""
    assert run(test, "codeq_profile = redis\n", "--strict-markers")[1] == 0


def test_a_misspelled_option_is_an_error(run: Run) -> None:
    test = """
import pytest

@pytest.mark.codeq(profil="redis")
def test_marked(codeq):
    pass
"""
    printed, code = run(test)
    assert code == 1
    assert "profil" in printed


def test_an_option_without_its_name_is_an_error(run: Run) -> None:
    test = """
import pytest

@pytest.mark.codeq("redis")
def test_marked(codeq):
    pass
"""
    printed, code = run(test)
    assert code != 0
    assert "takes its options by name" in printed


@pytest.mark.parametrize("line", ["codeq_clock = manul", "codeq_surprises = wran"])
def test_an_ini_option_that_cannot_be_is_an_error(run: Run, line: str) -> None:
    printed, code = run("def test_one(): pass\n", f"{line}\n")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert line.split(" = ")[1] in printed
    assert "allowed are" in printed


@pytest.mark.port
def test_a_fake_does_not_outlive_its_test(run: Run) -> None:
    test = """
import gc, weakref

seen = []

def test_one(codeq):
    seen.append(weakref.ref(codeq))

def test_two(codeq_server):
    seen.append(weakref.ref(codeq_server))

def test_three():
    gc.collect()
    assert [ref() for ref in seen] == [None, None]
"""
    printed, code = run(test)
    assert code == 0, printed


@pytest.mark.process
def test_it_imports_nothing_but_pytest() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import codeq_fake.pytest_plugin; print({*sys.modules} - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == {"codeq_fake", "codeq_fake.pytest_plugin"}


@pytest.mark.process
def test_a_test_without_a_fake_pays_nothing(run_apart: Run) -> None:
    test = """
import sys

def test_imports():
    assert not {"codeq_fake.testing", "starlette", "httpx"} & set(sys.modules)
"""
    assert run_apart(test)[1] == 0


def test_it_works_with_asyncio_and_anyio(run: Run) -> None:
    test = """
import pytest

async def story(codeq):
    task = codeq.enqueue("A", 1)
    async with codeq.async_client() as http:
        await http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], "leaseSeconds": 5})
        await codeq.aadvance(seconds=10)
        assert (await http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})).status_code == 204
    assert codeq.task(task.id).attempts == 2

@pytest.mark.asyncio
async def test_asyncio(codeq):
    await story(codeq)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(codeq):
    await story(codeq)
"""
    printed, code = run(test)
    assert code == 0, printed


@pytest.mark.port
def test_a_served_fake_is_the_same_on_a_port(run: Run) -> None:
    test = """
import urllib.request

def test_served(codeq_server):
    urllib.request.urlopen(codeq_server.env["CODEQ_BASE_URL"] + "/metrics").close()
    assert [request["path"] for request in codeq_server.requests] == ["/metrics"]
"""
    printed, code = run(test)
    assert code == 0, printed


@pytest.mark.process
def test_it_works_in_several_processes(run: Run) -> None:
    test = """
import asyncio
import pytest

@pytest.mark.parametrize("number", range(6))
def test_in_process(codeq, number):
    codeq.enqueue("A", number)
    assert len(codeq.tasks()) == 1

@pytest.mark.parametrize("number", range(4))
def test_on_a_port(codeq_server, number):
    codeq_server.enqueue("A", number)
    assert len(codeq_server.tasks()) == 1

@pytest.mark.parametrize("number", range(6))
@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto")
async def test_auto(codeq, number):
    await asyncio.sleep(3600)

def test_fails(codeq):
    codeq.enqueue("RENDER", 1)
    with codeq.client() as http:
        http.get("/healthz")
    assert False
"""
    # Each process would load these plugins, which takes as long as all the rest.
    printed, code = run(test, "", "-n", "2", "-p", "no:anyio", "-p", "no:hypothesispytest")
    assert code == 1
    assert "1 failed, 16 passed" in printed
    assert "test_fails: documented: GET /healthz" in printed
    assert "created by dev -> PENDING_LIST" in printed


@pytest.mark.process
def test_a_served_fakes_environment_goes_to_the_code_under_test(run: Run) -> None:
    test = """
import os
import subprocess
import sys

CODE = "import os, urllib.request; urllib.request.urlopen(os.environ['CODEQ_BASE_URL'] + '/metrics')"

def test_monkeypatch(codeq_server, monkeypatch):
    for name, value in codeq_server.env.items():
        monkeypatch.setenv(name, value)
    from codeq_client import BlockingCodeQ
    with BlockingCodeQ.from_env() as client:
        assert client.create("A", 1).id == codeq_server.tasks()[0].id

def test_subprocess(codeq_server):
    subprocess.run([sys.executable, "-c", CODE], env=codeq_server.env, check=True)
    subprocess.run([sys.executable, "-c", CODE], env={**os.environ, **codeq_server.env}, check=True)
    assert len(codeq_server.requests) == 2
"""
    printed, code = run(test)
    assert code == 0, printed


@pytest.mark.port
def test_one_server_lasts_for_all_tests_of_a_session(run: Run) -> None:
    test = """
import urllib.request
import pytest

urls = []

@pytest.fixture(scope="session")
def codeq_session_options():
    return {"now": "2026-01-31T12:00:00Z", "clock": "manual"}

@pytest.fixture(autouse=True)
def empty(codeq_session_server):
    codeq_session_server.reset()

@pytest.mark.parametrize("number", [1, 2])
def test_shared(codeq_session_server, number):
    assert codeq_session_server.tasks() == []
    codeq_session_server.enqueue("A", number)
    urllib.request.urlopen(codeq_session_server.url + "/metrics").close()
    urls.append(codeq_session_server.url)
    assert len(set(urls)) == 1

def test_fails(codeq_session_server):
    codeq_session_server.enqueue("RENDER", 1)
    assert codeq_session_server.now != "2026-01-31T12:00:00Z"

def test_without_it_is_reported_without_it(empty):
    pass

@pytest.mark.codeq(profile="kvrocks-2.9")
def test_marked(codeq_session_server):
    pass
"""
    printed, code = run(test, "codeq_profile = redis\n")
    assert code == 1
    assert "1 failed, 3 passed, 1 error" in printed
    assert "codeq_session_server is one fake for all tests: the marker codeq cannot change it" in printed
    assert "<FakeCodeQ redis at 2026-01-31T12:00:00Z (manual): 1 ready>" in printed
    assert "RENDER  PENDING, PENDING_LIST" in printed


@pytest.mark.port
def test_the_bundled_client_calls_a_server_too(run: Run) -> None:
    test = """
import asyncio
import pytest
from codeq_client import Worker

async def story(fake, client):
    task = await client.create("A", 1, delay=3600)
    fake.freeze()
    await fake.aadvance(3600)
    worker = Worker(client)

    @worker.handler("A")
    async def handle(job):
        return {"ok": True}

    await worker.run(burst=True, signals=False)
    fake.assert_completed(task.id, {"ok": True})

@pytest.mark.asyncio
async def test_server(codeq_server, codeq_client):
    await story(codeq_server, codeq_client)

@pytest.mark.asyncio
async def test_session(codeq_client, codeq_session_server):
    await story(codeq_session_server, codeq_client)

@pytest.mark.asyncio
async def test_in_process_goes_first(codeq, codeq_server, codeq_client):
    await codeq_client.create("A", 1)
    assert (len(codeq.tasks()), len(codeq_server.tasks())) == (1, 0)
"""
    printed, code = run(test)
    assert code == 0, printed
