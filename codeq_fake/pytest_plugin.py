"""The pytest plugin: the fixtures `codeq` (in process) and `codeq_server` (on a port), a new fake for each test.

`codeq_session_server` is one on a port for all tests, `codeq_client` the bundled client of any of them.

Every pytest run of an environment with this package loads it, so it imports only pytest until a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from codeq_client import CodeQ

    from .testing import FakeCodeQ

_SURPRISE = "codeq_surprise"

#: Ini option -> its allowed values.
_INI_VALUES = {"codeq_clock": ("manual", "auto", "real"), "codeq_surprises": ("summary", "warn", "ignore")}

#: The fakes of a test, for its report.
_FAKES: pytest.StashKey[list[FakeCodeQ]] = pytest.StashKey()

#: Whether the clock of a test's fixture `codeq` is auto.
_IS_AUTO: pytest.StashKey[bool] = pytest.StashKey()
#: The fake of `codeq_session_server`, for the reports of the tests that use it.
_SESSION_FAKE: pytest.StashKey[FakeCodeQ] = pytest.StashKey()

#: The fixtures that are a fake.
_SERVERS = ("codeq_server", "codeq_session_server")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    parser.addini("codeq_profile", "profile of the fixtures codeq and codeq_server, as in FakeCodeQ", default="")
    parser.addini(
        "codeq_surprises",
        "how to report surprises, where CodeQ differs from its documentation: summary, warn or ignore",
        default="summary",
    )
    parser.addini(
        "codeq_clock",
        "clock of the fixture codeq: manual, auto (for coroutines, and manual for other tests) or real",
        default="manual",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and reject unknown values of the ini options.

    The options of the marker are the arguments of `FakeCodeQ` (`in_process.fake`); the text names the usual ones.
    """
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
    """Give a test on an auto clock an event loop whose time jumps, and one without sockets a loop that needs none."""
    marked = _marked(metafunc.definition).get("clock")
    names = metafunc.fixturenames
    uses_codeq = "codeq" in names or ("codeq_client" in names and _fake_of_client(names) == "codeq")
    is_auto = (marked or (uses_codeq and metafunc.config.getini("codeq_clock"))) == "auto"
    if not is_auto and not (uses_codeq and _is_kept_from_sockets(metafunc.definition, names)):
        yield
        return
    from .clocks.pytest_loops import on_our_loop  # noqa: PLC0415 - see the module's docstring

    with on_our_loop(metafunc, virtual_time=is_auto):
        yield


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    """Options of `codeq_fake.testing.FakeCodeQ` for the fixtures. Override it to change them for a module."""
    return {}


@pytest.fixture
def codeq(request: pytest.FixtureRequest, codeq_options: dict[str, Any]) -> Iterator[FakeCodeQ]:
    """A fake CodeQ server in this process, on a manual clock by default: `codeq_fake.testing.FakeCodeQ`."""
    from .testing import FakeCodeQ  # noqa: PLC0415 - see the module's docstring

    by_ini = request.config.getini("codeq_clock")
    if by_ini == "auto" and not _is_async(request):
        by_ini = "manual"
    options = _options(request, {"clock": by_ini, **codeq_options})
    if options["clock"] == "auto":
        _demand_async(request)
        request.node.stash[_IS_AUTO] = True
    with FakeCodeQ(**options) as fake:
        request.node.stash[_FAKES] = [*request.node.stash.get(_FAKES, []), fake]
        yield fake
        _warn(request.config, fake)


@pytest.fixture
def codeq_client(request: pytest.FixtureRequest) -> CodeQ:
    """The bundled client as producer and worker of the test's fake, on its clock, without a socket.

    What a hook of one of its workers raises fails the test, as an error of a receiver does.
    The fake is `codeq`, or if the test only uses `codeq_server` or `codeq_session_server`, that one.
    """
    from codeq_client import CodeQ  # noqa: PLC0415 - see the module's docstring
    from codeq_client.testing import ServerClock  # noqa: PLC0415 - as above

    fake: FakeCodeQ = request.getfixturevalue(_fake_of_client(request.fixturenames))
    tokens = fake.tokens
    # Not closed: without sockets, nothing is open.
    return CodeQ(
        "http://codeq.test",
        producer_token=tokens["producer"],
        worker_token=tokens["worker"],
        admin_token=tokens["admin"],
        transport=fake.transport(),
        clock=ServerClock(fake.time, fake.sleep),
    )


@pytest.fixture
def codeq_server(request: pytest.FixtureRequest, codeq_options: dict[str, Any]) -> Iterator[FakeCodeQ]:
    """A fake CodeQ server on a free loopback port, on a real clock by default; see its `url` and `env`."""
    from .testing import FakeCodeQ  # noqa: PLC0415 - see the module's docstring

    options = _options(request, {"clock": "real", **codeq_options})
    if options["clock"] == "auto":
        _demand_async(request)
        options["clock"] = "real"  # a server runs in its own event loop, which cannot follow that of the test
    with FakeCodeQ(**options) as fake, fake.serve():
        request.node.stash[_FAKES] = [*request.node.stash.get(_FAKES, []), fake]
        yield fake
        _warn(request.config, fake)


@pytest.fixture(scope="session")
def codeq_session_options() -> dict[str, Any]:
    """Options of `codeq_fake.testing.FakeCodeQ` for `codeq_session_server`. Override it to change them."""
    return {}


@pytest.fixture(scope="session")
def codeq_session_server(pytestconfig: pytest.Config, codeq_session_options: dict[str, Any]) -> Iterator[FakeCodeQ]:
    """One fake on a free port for all tests of the session, as `codeq_server`; `reset()` empties it.

    For applications that read the URL once. Under xdist each process has its own.
    """
    from .testing import FakeCodeQ  # noqa: PLC0415 - see the module's docstring

    options = {"profile": pytestconfig.getini("codeq_profile") or None, "clock": "real", **codeq_session_options}
    with FakeCodeQ(**options) as fake, fake.serve():
        pytestconfig.stash[_SESSION_FAKE] = fake
        yield fake
        del pytestconfig.stash[_SESSION_FAKE]
        _warn(pytestconfig, fake)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test in which a receiver, a worker's hook or a callback raised. Give unittest a loop whose time jumps."""
    __tracebackhide__ = True
    if item.stash.get(_IS_AUTO, False):
        from .clocks.pytest_loops import callback_errors_to, unittest_on_our_loop  # noqa: PLC0415 - as above

        errors = item.stash[_FAKES][0].receiver_errors
        with unittest_on_our_loop(item, virtual_time=True), callback_errors_to(errors):
            yield
    elif item.stash.get(_FAKES, []) and _is_kept_from_sockets(item, item.fixturenames):  # type: ignore[attr-defined]
        from .clocks.pytest_loops import unittest_on_our_loop  # noqa: PLC0415 - as above

        with unittest_on_our_loop(item, virtual_time=False):
            yield
    else:
        yield
    for fake in _fakes(item):
        fake.check_receivers()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker whose options no fake of the test would get."""
    used = set(getattr(item, "fixturenames", ())).intersection(("codeq", *_SERVERS))
    if used == {"codeq_session_server"} and item.get_closest_marker("codeq") is not None:
        pytest.fail(
            "codeq_session_server is one fake for all tests: the marker codeq cannot change it. Set its options in a "
            "fixture codeq_session_options, or use codeq_server",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what happened at the fake to the report of a failed test. `codeq_fake.timeline` writes that text."""
    report = yield
    for fake in _fakes(item):
        try:
            _describe(fake, report)
        except Exception:  # noqa: BLE001 - pytest would end the whole run with an INTERNALERROR
            import traceback  # noqa: PLC0415 - see the module's docstring

            _add_section(report, f"what happened cannot be shown:\n{traceback.format_exc()}")
    if report.when == "teardown":
        item.stash[_FAKES] = []  # pytest keeps its items to the end, and would keep their fakes
    return report


def _describe(fake: FakeCodeQ, report: pytest.TestReport) -> None:
    """Add to a test's report what happened at a fake, and the surprises so far."""
    if report.failed:
        _add_section(report, f"{fake!r}\n{fake.timeline()}")
        fake.receiver_errors.clear()  # they are in the report now, and are no further failure
    if report.when == "call":
        # Unlike a stash, a property also comes through from a worker of xdist.
        report.user_properties += [(_SURPRISE, str(surprise)) for surprise in fake.surprises]


def _add_section(report: pytest.TestReport, text: str) -> None:
    """Add a section to a report. It is part of the traceback, where there is one.

    The report's own sections are those of captured output: `--show-capture=no` hides them, and a debugger and the file
    of `--junitxml` do not have them.
    """
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add("CodeQ", text, "-")
    else:
        report.sections.append(("CodeQ", text))


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


def _fake_of_client(names: Iterable[str]) -> str:
    """The fixture with the fake of `codeq_client`, given the names of a test's fixtures."""
    used = set(names)
    return "codeq" if "codeq" in used else next((name for name in _SERVERS if name in used), "codeq")


def _fakes(item: pytest.Item) -> list[FakeCodeQ]:
    """The fakes that a test uses."""
    fakes = item.stash.get(_FAKES, [])
    shared = item.config.stash.get(_SESSION_FAKE, None)
    return (
        [*fakes, shared]
        if shared is not None and "codeq_session_server" in getattr(item, "fixturenames", ())
        else fakes
    )


def _warn(config: pytest.Config, fake: FakeCodeQ) -> None:
    """Warn of each surprise, if the ini option says so."""
    if config.getini("codeq_surprises") == "warn":
        import warnings  # noqa: PLC0415 - see the module's docstring

        from .surprises import CodeQSurprise  # noqa: PLC0415 - as above

        for surprise in fake.surprises:
            warnings.warn(CodeQSurprise(str(surprise)), stacklevel=2)


def _options(request: pytest.FixtureRequest, options: dict[str, Any]) -> dict[str, Any]:
    """Options from the ini file, `codeq_options` and the marker; the later ones win."""
    return {"profile": request.config.getini("codeq_profile") or None, **options, **_marked(request.node)}


def _marked(node: pytest.Item) -> dict[str, Any]:
    """The options of all markers of a test, its class and its module. For each option the nearest one wins.

    The nearest is that of a `pytest.param`, which pytest itself lists after those of the function.
    """
    options: dict[str, Any] = {}
    of_param = [marker for marker in getattr(getattr(node, "callspec", None), "marks", ()) if marker.name == "codeq"]
    for marker in [*of_param, *node.iter_markers("codeq")]:
        if marker.args:
            pytest.fail(f'codeq takes its options by name, such as profile="redis"; found {marker.args}', pytrace=False)
        options = {**marker.kwargs, **options}
    return options


def _is_kept_from_sockets(test: pytest.Item, fixtures: Iterable[str]) -> bool:
    """Whether pytest-socket keeps every socket from a test, also the pair by which an event loop is woken up."""
    option = test.config.getoption
    if option("allow_unix_socket", None) or option("force_enable_socket", None):
        return False
    if "socket_enabled" in fixtures or test.get_closest_marker("enable_socket"):
        return False
    return bool(
        option("disable_socket", None) or "socket_disabled" in fixtures or test.get_closest_marker("disable_socket")
    )


def _is_async(request: pytest.FixtureRequest) -> bool:
    from .clocks.pytest_loops import is_async  # noqa: PLC0415 - see the module's docstring

    return is_async(request.function)


def _demand_async(request: pytest.FixtureRequest) -> None:
    if not _is_async(request):
        pytest.fail(
            'clock="auto" is for async tests, where time jumps when all tasks wait. Here it would stand still: '
            'mark this test with @pytest.mark.codeq(clock="manual"), and call codeq.advance()',
            pytrace=False,
        )
