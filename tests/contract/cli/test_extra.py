"""What the command loads: nothing that it does not need, and it says so if the extra for it is not installed."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from codeq_contract.cli import main


@pytest.mark.process
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("pytest", ["run"]),
        ("hypothesis", ["run", "--target", "asgi"]),
        ("testcontainers", ["load", "--target", "container", "--out", "history"]),
    ],
)
def test_a_command_says_which_extra_it_needs(module: str, arguments: list[str]) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from codeq_contract.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: this needs ")
    assert done.stderr.endswith("which the extra `contract` brings: pip install 'codeq-fake[contract]'\n")


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "others"),
    [
        ("", {"asyncio", "httpx", "jinja2", "joserfc", "rich", "uvicorn", "yaml"}),
        ("check", {"asyncio", "httpx", "jinja2", "joserfc", "uvicorn"}),
        ("run", {"codeq_fake", "hypothesis", "jinja2", "joserfc", "prometheus_client", "pytest", "uvicorn"}),
    ],
)
def test_a_subcommand_loads_nothing_that_only_others_need(command: str, others: set[str]) -> None:
    code = (
        "import sys\nfrom codeq_contract.cli import main\n"
        f"try: main({[*command.split(), '--help']})\nexcept SystemExit: pass\n"
        f"print(sorted({others} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_says_what_each_subcommand_says_itself() -> None:
    listed, loaded = click.HelpFormatter(width=200), click.HelpFormatter(width=200)
    with click.Context(main) as context:
        main.format_commands(context, listed)
        click.Group.format_commands(main, context, loaded)
    assert listed.getvalue() == loaded.getvalue()
