"""The decorator `simulate` under pytest, and the command that repeats what it prints."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codeq_fake.cli.main import main
from codeq_fake.simulation import simulate

#: With this seed, the worker that charges without a key charges an order twice.
SEED = 2
EXAMPLE = """
import asyncio
import json
from functools import partial

import httpx
from codeq_fake.simulation import World, simulate

CLAIM = {"commands": ["CHARGE"], "leaseSeconds": 60, "waitSeconds": 10}


async def work(host, charge):
    headers = {"authorization": f"Bearer {host.worker_token}"}
    async with httpx.AsyncClient(base_url=host.codeq_url, headers=headers, timeout=40) as http:
        while True:
            try:
                reply = await http.post("/v1/codeq/tasks/claim", json=CLAIM)
                if reply.status_code == 200:
                    task = reply.json()
                    charge(json.loads(task["payload"])["order"], task["id"])
                    await asyncio.sleep(10)  # prints the receipt
                    done = {"status": "COMPLETED", "result": {"charged": True}}
                    await http.post(f"/v1/codeq/tasks/{task['id']}/result", json=done)
                elif reply.status_code != 204:
                    await asyncio.sleep(1)
            except httpx.HTTPError:
                await asyncio.sleep(1)


async def six_orders(world, charge):
    world.process("worker", count=2)(partial(work, charge=charge))
    for n in range(6):
        await world.enqueue("CHARGE", {"order": n}, max_attempts=50)
    await world.settle()
    world.effects("charge").assert_once(per=lambda order: order)


@simulate(runs=20)
async def test_orders_are_charged_once(world: World) -> None:
    await six_orders(world, lambda order, task: world.effects("charge").record(order, task=task))


@simulate(runs=20)
async def test_orders_are_charged_once_by_key(world: World) -> None:
    await six_orders(world, lambda order, task: world.effects("charge").record(order, task=task, key=task))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "test_shop.py"
    file.write_text(EXAMPLE, encoding="utf-8")
    return file


def found(shop: Path, test: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", f"{shop}::{test}", *arguments])


@pytest.mark.slow
def test_a_failure_is_repeated_by_the_printed_command(shop: Path) -> None:
    failure = found(shop, "test_orders_are_charged_once", "--seed", str(SEED))
    assert failure.exit_code == 1
    assert failure.stderr == f"seed {SEED} fails; looking for the smallest weather that still breaks it\n"
    assert "The smallest weather that still breaks it" in failure.output
    reason = next(line for line in failure.output.splitlines() if line.startswith("AssertionError: charge of"))
    command = next(line for line in failure.output.splitlines() if "--plan" in line)
    _, _, _, *arguments = shlex.split(command)
    repeated = found(shop, "test_orders_are_charged_once", *arguments)
    assert repeated.exit_code == 1
    assert reason in repeated.output.splitlines()
    assert "smallest weather" not in repeated.output  # nothing was taken away


@pytest.mark.slow
def test_the_same_with_a_key_holds(shop: Path) -> None:
    assert found(shop, "test_orders_are_charged_once_by_key", "--seed", str(SEED)).exit_code == 0


#: The decorated test needs no plugin.
PYTEST = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:schemathesis",
    "-p",
    "no:respx",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)


@pytest.mark.slow
def test_fixtures_and_parameters_reach_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from codeq_fake.simulation import simulate

        @pytest.fixture
        def fixture():
            return 7

        @pytest.mark.parametrize("number", [1, 2])
        @simulate(runs=1)
        async def test_it(world, fixture, number):
            assert (fixture, number in (1, 2)) == (7, True)
        """
    )
    pytester.runpytest_inprocess(*PYTEST).assert_outcomes(passed=2)


def test_a_failure_of_a_test_with_parameters_is_described(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from codeq_fake.simulation import simulate

        @pytest.mark.parametrize("number", [1])
        @simulate(runs=1)
        async def test_it(world, number):
            assert number == 2
        """
    )
    result = pytester.runpytest_inprocess(*PYTEST)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*seed 0 of test_it fails:", "*AssertionError: assert 1 == 2"])


def test_the_traceback_of_a_program_that_raises_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from codeq_fake.simulation import simulate

        async def work(host):
            await asyncio.sleep(1)
            raise KeyError("no such order")

        @simulate(runs=1)
        async def test_it(world):
            world.process("worker")(work)
            await asyncio.sleep(2)
        """
    )
    result = pytester.runpytest_inprocess(*PYTEST)
    result.stdout.fnmatch_lines(["*seed 0 of test_it fails:", "*in work*", '*raise KeyError("no such order")'])


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="runs: found 0, want at least 1"):
        simulate(runs=0)


def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ValueError, match="server: found 'heavy', want one of uvicorn, light"):
        simulate(server="heavy")  # type: ignore[arg-type]  # what is wrong
    with pytest.raises(TypeError, match="simulate decorates an async function"):
        simulate()(test_misuse_is_named)


HOLDS = """
from codeq_fake.simulation import simulate

@simulate(runs=2)
async def test_nothing(world):
    pass

@simulate(runs=2)
async def test_more(world):
    pass
"""


@pytest.fixture
def holding(tmp_path: Path) -> Path:
    file = tmp_path / "holding.py"
    file.write_text(HOLDS, encoding="utf-8")
    return file


@pytest.mark.slow
def test_one_run_is_repeated_by_its_seed(holding: Path) -> None:
    result = CliRunner().invoke(main, ["simulate", f"{holding}::test_nothing", "--seed", "12"])
    assert (result.exit_code, result.output) == (0, "test_nothing: the run with seed 12 holds\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["FILE::test_other"], "there is no simulation test_other; found test_nothing, test_more"),
        (["FILE", "--seed", "1"], "add ::TEST, one of test_nothing, test_more"),
        (["missing.py"], "missing.py: there is no such Python file"),
        (["FILE::test_more", "--plan", "x"], "--plan: not a plan"),
        (["FILE::test_more", "--plan", '{"form":1}'], "--plan: not a plan: it has no events"),
        (["FILE::test_more", "--plan", json.dumps({"form": 99})], "--plan: this plan has form 99"),
        (["FILE", "--runs", "0"], "0 is not in the range"),
    ],
)
def test_wrong_arguments_are_named(holding: Path, arguments: list[str], says: str) -> None:
    arguments = [argument.replace("FILE", str(holding)) for argument in arguments]
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n@simulate(runs=0)\nasync def test_it(world): ...", ", line 3: ValueError: runs: found 0, want at least 1"),
        ("@simulate()\ndef test_it(world): ...", ", line 2: TypeError: test_it: simulate decorates an async function"),
        ("import no_such_shop", ", line 2: ModuleNotFoundError: No module named 'no_such_shop'"),
        ("def", ", line 2)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "unloadable.py"
    file.write_text(f"from codeq_fake.simulation import simulate\n{text}", encoding="utf-8")
    result = CliRunner().invoke(main, ["simulate", str(file)])
    assert result.exit_code == 2
    assert f"{file} cannot be loaded: " in result.output
    assert says in result.output
    assert result.output.count("\n") == 1


@pytest.mark.process
@pytest.mark.slow
def test_a_search_runs_on_all_cores(holding: Path) -> None:
    result = CliRunner().invoke(main, ["simulate", str(holding), "--runs", "30", "--processes", "2"])
    assert (result.exit_code, result.output) == (0, "test_nothing: 30 runs hold\ntest_more: 30 runs hold\n")


KNOWS_ITS_PROCESS = """
import os
from codeq_fake.simulation import simulate

@simulate(runs=20)
async def test_number(world):
    world.effects("number").record(os.getpid())
"""


@pytest.mark.process
@pytest.mark.slow
def test_what_the_simulation_does_not_control_is_found_by_a_comparison_with_another_process(tmp_path: Path) -> None:
    file = tmp_path / "number.py"
    file.write_text(KNOWS_ITS_PROCESS, encoding="utf-8")
    result = CliRunner().invoke(main, ["simulate", str(file), "--first-seed", "7", "--runs", "1", "--compare"])
    assert result.exit_code == 1
    assert result.output.startswith("seed 7 of test_number has another history in each process:")


READS_A_CLOCK = """
from time import time
from codeq_fake.simulation import simulate

@simulate(runs=30)
async def test_time(world):
    assert round(time()) == 1_704_067_200
"""


@pytest.mark.process
@pytest.mark.slow
def test_a_clock_imported_by_name_is_virtual_in_each_run_of_a_search(tmp_path: Path) -> None:
    file = tmp_path / "clock.py"
    file.write_text(READS_A_CLOCK, encoding="utf-8")
    result = CliRunner().invoke(main, ["simulate", str(file), "--processes", "1"])
    assert (result.exit_code, result.output) == (0, "test_time: 30 runs hold\n")
