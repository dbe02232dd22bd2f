"""The contract suite in this process, on the fake that is built in here."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import hypothesis  # noqa: F401 - slow to import, and the cases need it
import pytest

import codeq_contract
import codeq_contract.driver.in_process
import codeq_contract.plugin
from codeq_contract.clauses import FACTS, VERSIONS

_SUITE = Path(codeq_contract.__file__).parent

#: The files of the cases.
CASES = sorted((_SUITE / "cases").glob("test_*.py"))

#: Recordings and drawn plans find much, but by chance: a fact needs a case that looks for it.
_LEVELS = "core,timed,concurrent,webhooks"
DRAWN = "test_whatever_producers_and_workers_do_the_server_answers_as_the_contract_says"

_PLUGINS = ("codeq_contract.plugin", "no:cacheprovider", "no:faulthandler", "no:unraisableexception")


def store_of(facts: Iterable[str]) -> str:
    """The store that the cases of these facts need. Empty if any will do."""
    needs = [need for fact in facts for need in FACTS[fact].needs]
    return next((need.removeprefix("store:") for need in needs if need.startswith("store:")), "")


def version_of(facts: Iterable[str]) -> str:
    """The version on which these facts hold."""
    return next((FACTS[fact].only for fact in facts if FACTS[fact].only), VERSIONS[0])


def run(
    files: Sequence[Path],
    plugin: object,
    *,
    version: str = "",
    store: str = "",
    facts: Sequence[str] = (),
    known: str = "none",
    cases: str = f"not {DRAWN}",
) -> str:
    """Run the cases of these files, and of these facts if there are any, but no recordings and no drawn plans.

    `plugin` is one of pytest, which sees what happens. The fake has that store and version, or the facts' version.
    The deviations of the list `known` are known. `cases` selects cases as pytest's `-k`. Returns what pytest printed.
    """
    printed = io.StringIO()
    options = [
        "-c",
        str(_SUITE / "suite.ini"),
        "-q",
        "--tb=line",
        "--capture=no",
        f"-k={cases}",
        f"--codeq-level={_LEVELS}",
    ]
    options += [f"--codeq-known={known}", *([f"--codeq-profile={store}"] if store else [])]
    options += [f"--codeq-contract={version or version_of(facts)}"]
    options += [part for name in _PLUGINS for part in ("-p", name)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        # The plugins of the run around this one (timeouts, workers, Hypothesis) take no part. The one for unraisable
        # exceptions would collect the garbage of all earlier tests five times.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        pytest.main([*map(str, files), *options, f"--codeq-fact={','.join(facts)}"], plugins=[plugin])
    return printed.getvalue()
