"""Private names of pytest: an item's parameters and fixtures, its name in the environment, and the JUnit report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from _pytest import runner
from _pytest.junitxml import xml_key


def parameters(item: pytest.Function) -> Mapping[str, Any]:
    """The values that `pytest.mark.parametrize` gave an item.

    pytest offers them only after its set-up of the item. Cases that wait side by side start before that.
    """
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def without_fixtures(item: pytest.Function) -> None:
    """Keep pytest from setting up the fixtures of an item."""
    item.fixturenames.clear()


def without_source(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    """The report of a failure with its error alone, for which pytest need not parse the source."""
    error = "" if call.excinfo is None else call.excinfo.exconly()
    keywords: dict[str, Literal[1]] = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(
        item.nodeid,
        item.location,
        keywords,
        "failed",
        error,
        "call",
        duration=call.duration,
        start=call.start,
        stop=call.stop,
    )


@contextmanager
def environment_unchanged() -> Iterator[None]:
    """Keep pytest from setting PYTEST_CURRENT_TEST for each item, and from removing it.

    A thread that reads the whole environment at that moment, to start a program or to find a proxy, gets a KeyError.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_update_current_test_var", _ignore)
        yield


def _ignore(*_: object) -> None:
    pass


def write_junit_report(config: pytest.Config, path: str) -> None:
    """Write a JUnit report to `path`, unless the user chose a path. Call it before pytest configures that plugin."""
    config.option.xmlpath = config.option.xmlpath or path


def add_to_junit_report(config: pytest.Config, properties: Mapping[str, str]) -> None:
    """Add properties of the whole run to the JUnit report, if one is written. Call it before the session's end."""
    report = config.stash.get(xml_key, None)
    if report is not None:
        for name, value in properties.items():
            report.add_global_property(name, value)
