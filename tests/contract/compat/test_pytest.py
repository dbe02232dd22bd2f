"""The private names of pytest that the suite uses are still there, and still do what it needs."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

PLUGIN = """
import pytest
from codeq_contract.compat.pytest import (
    add_to_junit_report, environment_unchanged, parameters, without_fixtures, write_junit_report
)

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    write_junit_report(config, "ours.xml")

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop():
    with environment_unchanged():
        return (yield)

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    add_to_junit_report(session.config, {"K5.3": "pass"})

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    without_fixtures(item)

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    pyfuncitem.obj(**parameters(pyfuncitem))
    return True
"""
TESTS = """
import os
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("set up, although nothing needs it")

@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("number", [1, 2])
def test_it(number):
    assert number in (1, 2)

def test_environment():
    assert "test_environment" not in os.environ.get("PYTEST_CURRENT_TEST", "")
"""


@pytest.fixture
def result(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.RunResult:
    """A run of three tests by a plugin that uses all of `codeq_contract.compat.pytest`."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(TESTS)
    return pytester.runpytest_inprocess("--tb=short", "-v")


def test_parameters_are_known_and_fixtures_are_left_out(result: pytest.RunResult) -> None:
    passed = len(re.findall(r"test_it\[\d\] PASSED", result.stdout.str()))
    assert passed == 2, (
        "pytest.Function.callspec.params no longer holds the parameters of an item, or clearing Function.fixturenames "
        "no longer keeps pytest from setting up its fixtures: cases cannot be run side by side"
    )


def test_the_environment_does_not_name_the_test(result: pytest.RunResult) -> None:
    assert "test_environment PASSED" in result.stdout.str(), (
        "_pytest.runner._update_current_test_var no longer sets PYTEST_CURRENT_TEST: cases in threads that read the "
        "environment may fail with a KeyError"
    )


def test_the_junit_report_is_written_where_the_plugin_says(result: pytest.RunResult, pytester: pytest.Pytester) -> None:
    assert result.ret == 0
    report = Path(pytester.path, "ours.xml")
    assert report.exists(), "config.option.xmlpath no longer names the JUnit report: --codeq-report gives none"
    assert len(ET.parse(report).getroot().findall(".//testcase")) == 3  # noqa: S314 - written by pytest a moment ago


def test_the_junit_report_has_properties_of_the_run(result: pytest.RunResult, pytester: pytest.Pytester) -> None:
    assert result.ret == 0
    report = ET.parse(Path(pytester.path, "ours.xml")).getroot()  # noqa: S314 - as above
    assert [each.attrib for each in report.findall("./testsuite/properties/property")] == [
        {"name": "K5.3", "value": "pass"}
    ], "LogXML.add_global_property or its stash key has gone: junit.xml no longer tells facts"
