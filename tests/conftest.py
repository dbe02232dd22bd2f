"""Settings and marks that all tests share.

A test's marks say what it costs: `port`, `process`, `container`, `browser`, and `slow` for more than a tenth of a
second. A test without marks opens no port and starts no process; one that does so fails. `make quick` runs those.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from hypothesis import settings

from tests.holds import garbage_kept

pytest_plugins = ["pytester"]  # the tests of our own plugin run tests

# Each run draws the same, so that no test fails by chance. With `--hypothesis-profile=drawn` each draws something else.
# No deadline anywhere: the time that an example takes depends on the machine, and never fails a test.
settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True, max_examples=30)
settings.register_profile("drawn", deadline=None, max_examples=500)
settings.load_profile("fixed")
os.environ["CODEQ_CONTRACT_SEED"] = "0"  # of the suite's plans

# The tests call servers on this machine, with clients that a proxy of the environment would otherwise lead away.
for _name in ("no_proxy", "NO_PROXY"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "localhost", "127.0.0.1", "::1")))

# The commands that tests start must not inherit that `nohup` ignores this signal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

#: What every user of a fixture costs.
FIXTURES = MappingProxyType(
    {
        "chromium": "browser",
        "codeq_server": "port",
        "pytester": "slow",
        **dict.fromkeys(("built", "built_client", "installed", "installed_client"), "process"),
    }
)

#: The marks that allow a test to do what Python's audit events report.
_PROCESSES = ("process", "container", "browser")
_ALLOWED_BY = MappingProxyType(
    {
        **dict.fromkeys(
            ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.exec"), _PROCESSES
        ),
        **dict.fromkeys(("socket.bind", "socket.connect"), ("port", *_PROCESSES)),
    }
)


class Costs:
    """The running test's events that need a mark."""

    def __init__(self) -> None:
        self.events: set[str] = set()
        # Python clears a module's names at its exit, when events still come.
        self._allowed_by = _ALLOWED_BY
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        # A Unix socket has a path for its address. It is not a port.
        if event in self._allowed_by and not (event.startswith("socket.") and not isinstance(arguments[1], tuple)):
            self.events.add(event)

    def unmarked(self, item: pytest.Item) -> list[str]:
        """What the test did without a mark."""
        marks = {mark.name for mark in item.iter_markers()}
        return sorted(event for event in self.events if marks.isdisjoint(self._allowed_by[event]))


_COSTS = Costs()


@pytest.fixture(params=["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def proxies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A proxy that never answers, set for every kind of traffic. Returns its URL."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, request.param)
        monkeypatch.setenv(name.upper(), request.param)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return str(request.param)


@pytest.fixture
def loaded_modules() -> Generator[dict[str, ModuleType], None, None]:
    """Modules that stay loaded after the test, by name.

    pytester forgets what a test in a test imports. The next test would load it again, and a module that is loaded
    twice in one process has two of each class: an `except` for the one misses the other.
    """
    modules: dict[str, ModuleType] = {}
    yield modules
    for name, module in modules.items():
        if name not in ("test_example", "conftest"):
            sys.modules.setdefault(name, module)


@pytest.fixture
def pytester(
    loaded_modules: dict[str, ModuleType], pytester: pytest.Pytester
) -> Generator[pytest.Pytester, None, None]:
    """Pytest's own, with `loaded_modules`."""
    yield pytester
    loaded_modules.update(sys.modules)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from looking at all tests again and again, here and later."""
    with garbage_kept():
        found = yield
        gc.freeze()  # before the collector works again, which would look at all of it at once
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use a fixture with a cost, and let the long ones start first."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in FIXTURES:
                item.add_marker(FIXTURES[fixture])
    items[:] = _long_ones_first(items, getattr(config, "workerinput", {}).get("workercount", 1))


def _long_ones_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in an order in which each process begins with its share of the long ones.

    A long test that starts last runs alone, while the other processes have nothing left to do. The tests of an
    `xdist_group` share what takes long to set up, so one process has all of them. xdist's `worksteal` gives each
    process an equal part of the list at first.
    """
    groups = _long_groups(items)
    in_groups = {item for group in groups for item in group}
    others = [item for item in items if item not in in_groups]
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for group in groups:
        min(shares, key=_seconds).extend(group)
    order: list[pytest.Item] = []
    for process, share in enumerate(shares):
        room = max(0, (len(items) - len(order)) // (processes - process) - len(share))
        order += share + others[:room]
        del others[:room]
    return order


def _long_groups(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    """Each long test, and the tests of each group; those that take longest come first."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group or _seconds([item]):
            groups.setdefault(group.args[0] if group else item.nodeid, []).append(item)
    return sorted(groups.values(), key=_seconds, reverse=True)


def _seconds(items: list[pytest.Item]) -> int:
    """How long the tests take, by their marks."""
    marks = [item.get_closest_marker("slow") for item in items]
    return sum(int(mark.kwargs.get("seconds", 0)) for mark in marks if mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:  # noqa: ARG001 - pytest's form
    """Begin the account of a test."""
    _COSTS.events.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that costs more than its marks say; let what it logged, whatever it is, travel between processes."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    if call.when == "teardown" and report.passed and (unmarked := _COSTS.unmarked(item)):
        wanted = " or ".join(sorted({f"@pytest.mark.{_ALLOWED_BY[event][0]}" for event in unmarked}))
        report.outcome = "failed"
        report.longrepr = f"{', '.join(unmarked)} without a mark: the test needs {wanted}"
    return report
