"""Recordings: the target answers each call, and makes each callback, as the real server did."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.shipped import ORDERED_BY_ID, PAST_AN_EDGE, clauses_shown, shipped, shipped_names
from codeq_contract.suite.case import needs, only, recorded, shows
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.recorded import differences


def _marks(name: str) -> list[pytest.MarkDecorator]:
    """The version and the features without which no target can show what the recording shows, and its clauses."""
    version, store, _ = name.split("/")
    ids = ["chosen_ids"] if name in ORDERED_BY_ID else []
    time = ["chosen_time"] if name in PAST_AN_EDGE else []
    return [only(version), needs(f"store:{store}", *ids, *time), shows(*clauses_shown(name))]


_RECORDINGS = [pytest.param(name, marks=_marks(name)) for name in shipped_names()]


@recorded
@pytest.mark.parametrize("name", _RECORDINGS)
def test_the_server_answers_as_recorded(contract: CaseContext, name: str) -> None:
    found = differences(contract, shipped(name))
    assert not found, "\n".join(map(str, found))
