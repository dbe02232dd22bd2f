"""The suite as a pytest plugin: its options, the fixture `contract`, the register's checks and the report.

It is loaded by the suite's own conftest, or by `-p codeq_contract.plugin`; nobody else's test runs load it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from codeq_contract.register import RegisterError, check_claims, check_complete
from codeq_contract.report.verdicts import GROUPS
from codeq_contract.suite.deviations import DeviationsError, read_deviations
from codeq_contract.suite.options import Options, OptionsError, option_names
from codeq_contract.suite.runner import clauses_of, group_of, groups_of
from codeq_contract.suite.session import Session

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from codeq_contract.suite.case_context import Contract

CASES = Path(__file__).with_name("cases")
SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every option of the suite, `--codeq-` before its name."""
    group = parser.getgroup("codeq-contract", "the CodeQ contract suite")
    for name, text in option_names().items():
        group.addoption(f"--codeq-{name.replace('_', '-')}", dest=f"codeq_{name}", metavar="TEXT", help=text)
    group.addoption("--codeq-yes", action="store_true", help="let cases delete old tasks of anyone on a deployment")
    group.addoption("--codeq-dry-run", action="store_true", help="list what would be done, and do nothing")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options before pytest's own JUnit report looks for its path."""
    for mark in (*GROUPS, "clause(*ids): the clauses checked", "needs(*features): what the target must have"):
        config.addinivalue_line("markers", mark)
    names = (*option_names(), "yes", "dry_run")
    try:
        options = Options.read({name: config.getoption(f"codeq_{name}") for name in names}, os.environ)
        target = options.chosen_target()
        deviations = read_deviations(options.known or _usual_deviations(options.target))
    except (DeviationsError, OptionsError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
    if options.report and not options.dry_run and not config.option.xmlpath:
        config.option.xmlpath = os.path.join(options.report, "junit.xml")  # noqa: PTH118 - pytest wants a text
    config.stash[SESSION] = Session(options, target, deviations)


@pytest.fixture
def contract() -> Contract:
    """What a case is given; each attempt at a case gets its own."""
    raise AssertionError("cases are run by the plugin itself")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold the cases against the register, and leave out the groups that are not to be run."""
    try:
        _check_register(items)
    except RegisterError as error:
        raise pytest.UsageError(str(error)) from None
    levels = config.stash[SESSION].options.levels
    out = [item for item in items if is_case(item) and group_of(item) not in levels]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note what `-k` and its like left out."""
    cases = [item for item in items if is_case(item)]
    if cases:
        cases[0].config.stash[SESSION].leave_out(cases, "not selected")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Instead of a dry run's cases, print them."""
    suite = session.config.stash[SESSION]
    if not suite.options.dry_run:
        return None
    for line in suite.plan(session.items):
        click.echo(line)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A case needs no fixtures: `pytest_pyfunc_call` gives it all it takes."""
    if isinstance(item, pytest.Function) and is_case(item):
        item.fixturenames.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a case."""
    if not is_case(pyfuncitem):
        return None
    pyfuncitem.config.stash[SESSION].run(pyfuncitem)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a case."""
    report = yield
    if is_case(item):
        item.config.stash[SESSION].judge(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report and stop the server; where there was none, no JUnit report may look as if all were well."""
    suite = session.config.stash[SESSION]
    if suite.not_run:
        session.config.hook.pytest_runtest_logreport(report=_broken(suite.not_run))
    suite.finish([item for item in session.items if is_case(item)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how each level went."""
    for line in config.stash[SESSION].summary():
        terminalreporter.write_line(line)


def _broken(reason: str) -> pytest.TestReport:
    place = ("codeq_contract", None, "the run")
    return pytest.TestReport("codeq_contract::run", place, {}, "failed", f"not run: {reason}", "setup")


def is_case(item: pytest.Item) -> bool:
    """Whether it is one of the suite's cases rather than somebody's test beside them."""
    return "contract" in getattr(item, "fixturenames", ()) or item.get_closest_marker("clause") is not None


def _check_register(items: Sequence[pytest.Item]) -> None:
    cases = [item for item in items if is_case(item)]
    for item in cases:
        check_claims(item.name, groups_of(item), clauses_of(item))
    if {item.path for item in cases} >= set(CASES.glob("test_*.py")):
        check_complete(clause for item in cases for clause in clauses_of(item))


def _usual_deviations(target: str) -> str:
    return "v0.3.3" if target in ("container", "url") else "none"
