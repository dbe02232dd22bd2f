"""The suite as a pytest plugin: its options, the fixture `contract`, the checks of the register and the report.

The suite's own conftest loads it, or `-p codeq_contract.plugin`. No other test run does.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

import click
import pytest

from codeq_contract.clauses import RegisterError, are_named, check_case
from codeq_contract.compat.pytest import add_to_junit_report, without_fixtures, without_source, write_junit_report
from codeq_contract.report.results import GROUPS, NOT_SELECTED
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.deviations import DeviationsError, read_deviations
from codeq_contract.suite.options import Options, OptionsError, option_names
from codeq_contract.suite.runner import clauses_of, facts_of, group_of, groups_of, is_part_of
from codeq_contract.suite.session import Session

CASES = Path(__file__).with_name("cases")
SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite, with the prefix `--codeq-`."""
    group = parser.getgroup("codeq-contract", "the CodeQ contract suite")
    for name, text in option_names().items():
        group.addoption(f"--codeq-{name.replace('_', '-')}", dest=f"codeq_{name}", metavar="TEXT", help=text)
    group.addoption("--codeq-yes", action="store_true", help="let cases delete old tasks of anyone on a deployment")
    group.addoption("--codeq-dry-run", action="store_true", help="list the cases, and do nothing")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options, before pytest's plugin for JUnit reports reads its path."""
    for mark in (
        *GROUPS,
        "checks(*ids): the facts checked",
        "shows(*clauses): the clauses that a recording shows",
        "only(version): the only version that has the case",
        "unless(store): a store on which the case does not hold",
        "needs(*features): the features that the target must have",
    ):
        config.addinivalue_line("markers", mark)
    names = (*option_names(), "yes", "dry_run")
    try:
        options = Options.read({name: config.getoption(f"codeq_{name}") for name in names}, os.environ)
        target = options.chosen_target()
        known = read_deviations(options.known_deviations) if options.known_deviations else None
        if options.report and not options.dry_run:
            # If this run breaks off, the report of an older one must not look like its own.
            Path(options.report, "report.json").unlink(missing_ok=True)
            write_junit_report(config, str(Path(options.report, "junit.xml")))
    except (DeviationsError, OptionsError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = Session(options, target, known)


@pytest.fixture
def contract() -> CaseContext:
    """The context of one attempt at a case."""
    raise AssertionError("the plugin itself runs the cases")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Start the server before the cases are loaded, which takes longer than to see that a set-up is wrong."""
    session.config.stash[SESSION].begin()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the cases against the register, and deselect the groups and the facts that are not requested.

    The cases of another version than the one that is checked are no part of the run at all.
    """
    cases = [item for item in items if is_case(item)]
    try:
        for item in cases:
            check_case(item.name, groups_of(item), facts_of(item), clauses_of(item))
    except RegisterError as error:
        raise pytest.UsageError(str(error)) from None
    suite = config.stash[SESSION]
    options = suite.options
    others = [item for item in cases if not is_part_of(item, suite.contract, suite.store)]
    items[:] = [item for item in items if item not in others]
    cases = [item for item in cases if item not in others]
    out = [item for item in cases if group_of(item) not in options.levels]
    if options.facts:
        chosen = [item for item in cases if are_named(facts_of(item), clauses_of(item), options.facts)]
        out += [item for item in cases if item not in out and item not in chosen]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Record the cases that `-k` and other options deselected."""
    cases = [item for item in items if is_case(item)]
    if cases:
        cases[0].config.stash[SESSION].leave_out(cases, NOT_SELECTED)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In a dry run print the cases instead of running them."""
    suite = session.config.stash[SESSION]
    if not suite.options.dry_run:
        return None
    for line in suite.plan(session.items):
        click.echo(line)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set up no fixtures for a case: `pytest_pyfunc_call` gives it all arguments."""
    if isinstance(item, pytest.Function) and is_case(item):
        without_fixtures(item)


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
    try:
        report = yield
    except SystemError:
        # CPython 3.11 cannot parse in two threads at once, and pytest parses the source of a failure.
        report = without_source(item, call)
    if is_case(item):
        item.config.stash[SESSION].judge(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report and stop the server. The JUnit report gets the facts, or an error if there was no server."""
    suite = session.config.stash[SESSION]
    if suite.not_run:
        place, reason = ("codeq_contract", None, "the run"), f"not run: {suite.not_run}"
        broken = pytest.TestReport("codeq_contract::run", place, {}, "failed", reason, "setup")
        session.config.hook.pytest_runtest_logreport(report=broken)
    suite.finish([item for item in session.items if is_case(item)])
    add_to_junit_report(session.config, suite.facts())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the outcome of each level."""
    for line in config.stash[SESSION].summary():
        terminalreporter.write_line(line)


def is_case(item: pytest.Item) -> bool:
    """Whether the item is a case of the suite, not another test."""
    return "contract" in getattr(item, "fixturenames", ()) or bool(clauses_of(item))
