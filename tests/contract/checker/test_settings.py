"""The settings of a recorded server that the laws depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.checker.settings import GRAIN, Settings
from codeq_contract.recordings.shipped import shipped
from codeq_contract.recordings.times import MILLISECOND


@pytest.mark.parametrize(
    ("profile", "most_early"),
    [("redis", 500), ("main/redis", 500), ("main/kvrocks-2.9", 1000), ("main/pebble", 1000), ("other", 1500)],
)
def test_a_profile_may_name_a_version_before_its_store(profile: str, most_early: int) -> None:
    header = replace(shipped("v0.3.3/redis/abandon").header, profile=profile)
    assert Settings.of(header).most_early == most_early * MILLISECOND + GRAIN
