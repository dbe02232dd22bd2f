"""The recorded scenario, made once."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.format import Recording
from tests.contract.checker.support import SCENARIO, EditedHistory, drive


@pytest.fixture(scope="session")
def recording() -> Recording:
    return drive(SCENARIO.values())


@pytest.fixture
def history(recording: Recording) -> EditedHistory:
    """The scenario, to be edited by a test."""
    return EditedHistory(recording, SCENARIO)
