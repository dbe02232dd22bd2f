"""The target `http`: one program, and further fakes on ports of this process."""

from __future__ import annotations

import pytest

from codeq_contract.driver import Setup
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.options import Options

pytestmark = [pytest.mark.process, pytest.mark.port]


def test_servers_with_other_settings_need_no_program() -> None:
    target = Options.read({"target": "http", "profile": "redis"}, {}).chosen_target()
    with target.start(Setup()) as first, first.other(Setup().but({"MAX_ATTEMPTS_DEFAULT": "2"})) as other:
        attempts = [CaseContext(server).producer.created("CMD")["maxAttempts"] for server in (first, other)]
        assert other.about["server"] == "codeq-fake in this process"
        assert first.about["server"].startswith("codeq-fake (sha256")
    assert attempts == [5, 2]
