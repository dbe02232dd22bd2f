"""The pytest plugin: the fixtures `codeq` (in process) and `codeq_server` (on a port), a new fake for each test.

Every pytest run of an environment with this package loads it, so it imports only pytest until a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from codeq_client import CodeQ

    from .testing import FakeCodeQ

_SURPRISE = "codeq_surprise"

#: Ini option -> its allowed values.
_INI_VALUES = {"codeq_clock": ("manual", "auto", "real"), "codeq_surprises": ("summary", "warn", "ignore")}

#: The fakes of a test, for its report.
_FAKES: pytest.StashKey[list[FakeCodeQ]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    parser.addini("codeq_profile", "store profile of the fixtures codeq and codeq_server", default="kvrocks-2.8")
    parser.addini(
        "codeq_surprises",
        "how to report surprises, where CodeQ differs from its documentation: summary, warn or ignore",
        default="summary",
    )
    parser.addini("codeq_clock", "clock of the fixture codeq: manual, auto or real", default="manual")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and reject unknown values of the ini options."""
    for name, allowed in _INI_VALUES.items():
        if config.getini(name) not in allowed:
            raise pytest.UsageError(f"{name}: found {config.getini(name)!r}, allowed are {', '.join(allowed)}")
    config.addinivalue_line(
        "markers",
        "codeq(**options): options of FakeCodeQ for this test's codeq and codeq_server, such as profile, clock, now, "
        "settings, yaml, identities, webhooks, seed, filled_from",
    )


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Make a test whose clock is auto run on an event loop whose time jumps."""
    marked = _marked(metafunc.definition).get("clock")
    if (marked or ("codeq" in metafunc.fixturenames and metafunc.config.getini("codeq_clock"))) != "auto":
        yield
        return
    from .clocks.pytest_loops import on_virtual_time  # noqa: PLC0415 - see the module's docstring

    with on_virtual_time(metafunc):
        yield


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    """Options of `codeq_fake.testing.FakeCodeQ` for the fixtures. Override it to change them for a module."""
    return {}


@pytest.fixture
def codeq(request: pytest.FixtureRequest, codeq_options: dict[str, Any]) -> Iterator[FakeCodeQ]:
    """A fake CodeQ server in this process, on a manual clock by default: `codeq_fake.testing.FakeCodeQ`."""
    from .testing import FakeCodeQ  # noqa: PLC0415 - see the module's docstring

    options = _options(request, {"clock": request.config.getini("codeq_clock"), **codeq_options})
    if options["clock"] == "auto":
        _demand_async(request)
    with FakeCodeQ(**options) as fake:
        request.node.stash[_FAKES] = [*request.node.stash.get(_FAKES, []), fake]
        yield fake
        _warn(request.config, fake)


@pytest.fixture
def codeq_client(codeq: FakeCodeQ) -> CodeQ:
    """The bundled client as producer and worker of the fixture `codeq`, in its event loop and on its clock."""
    from codeq_client import CodeQ  # noqa: PLC0415 - see the module's docstring
    from codeq_client.testing import ServerClock  # noqa: PLC0415 - as above

    tokens = codeq.tokens
    # Not closed: without sockets, nothing is open.
    return CodeQ(
        "http://codeq.test",
        producer_token=tokens["producer"],
        worker_token=tokens["worker"],
        admin_token=tokens["admin"],
        transport=codeq.transport(),
        clock=ServerClock(codeq.time, codeq.sleep),
    )


@pytest.fixture
def codeq_server(request: pytest.FixtureRequest, codeq_options: dict[str, Any]) -> Iterator[FakeCodeQ]:
    """A fake CodeQ server on a free loopback port, on a real clock by default; see its `url` and `env`."""
    from .testing import FakeCodeQ  # noqa: PLC0415 - see the module's docstring

    with FakeCodeQ(**_options(request, {"clock": "real", **codeq_options})) as fake, fake.serve():
        request.node.stash[_FAKES] = [*request.node.stash.get(_FAKES, []), fake]
        yield fake
        _warn(request.config, fake)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what happened at the fake to the report of a failed test. `in_process.timeline` writes that text."""
    report = yield
    for fake in item.stash.get(_FAKES, []):
        if report.failed:
            report.sections.append(("CodeQ", f"{fake!r}\n{fake.timeline()}"))
        if report.when == "call":
            # Unlike a stash, a property also comes through from a worker of xdist.
            report.user_properties += [(_SURPRISE, str(surprise)) for surprise in fake.surprises]
    if report.when == "teardown":
        item.stash[_FAKES] = []  # pytest keeps its items to the end, and would keep their fakes
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show each surprise once, with the first test that had it."""
    if config.getini("codeq_surprises") != "summary":
        return
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    first = {
        text: report.nodeid
        for report in reversed(reports)
        for name, text in getattr(report, "user_properties", ())
        if name == _SURPRISE
    }
    if first:
        terminalreporter.section("CodeQ differs from its documentation")
        for text, nodeid in sorted(first.items()):
            terminalreporter.write_line(f"{nodeid}: {text}")


def _warn(config: pytest.Config, fake: FakeCodeQ) -> None:
    """Warn of each surprise, if the ini option says so."""
    if config.getini("codeq_surprises") == "warn":
        import warnings  # noqa: PLC0415 - see the module's docstring

        from .divergences import CodeQSurprise  # noqa: PLC0415 - as above

        for surprise in fake.surprises:
            warnings.warn(CodeQSurprise(str(surprise)), stacklevel=2)


def _options(request: pytest.FixtureRequest, options: dict[str, Any]) -> dict[str, Any]:
    """Options from the ini file, `codeq_options` and the marker; the later ones win."""
    return {"profile": request.config.getini("codeq_profile"), **options, **_marked(request.node)}


def _marked(node: pytest.Item) -> dict[str, Any]:
    marker = node.get_closest_marker("codeq")
    if marker is not None and marker.args:
        pytest.fail(f'codeq takes its options by name, such as profile="redis"; found {marker.args}', pytrace=False)
    return dict(marker.kwargs) if marker else {}


def _demand_async(request: pytest.FixtureRequest) -> None:
    from .clocks.pytest_loops import is_async  # noqa: PLC0415 - see the module's docstring

    if not is_async(request.function):
        pytest.fail(
            'clock="auto" is for async tests, where time jumps when all tasks wait. Here it would stand still: '
            'mark this test with @pytest.mark.codeq(clock="manual"), and call codeq.advance()',
            pytrace=False,
        )
