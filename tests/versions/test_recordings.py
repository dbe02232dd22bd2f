"""Every recording of the other versions of the real server, replayed on the fake in process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from codeq_contract.driver.identities import Signer
from codeq_contract.recordings.files import read_recording
from codeq_contract.replay.player import replay_early_or_late
from codeq_contract.replay.servers import InProcessTarget

pytestmark = pytest.mark.slow

FILES = sorted((Path(__file__).parents[1] / "recordings" / "main").glob("*/*.jsonl.gz"))


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def test_there_are_recordings_of_main() -> None:
    assert Counter(file.parent.name for file in FILES) == {"redis": 78, "pebble": 79}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name.removesuffix('.jsonl.gz')}")
def test_a_fake_of_main_answers_as_the_real_server_did(file: Path, signer: Signer) -> None:
    differences = replay_early_or_late(read_recording(file), InProcessTarget(), signer=signer)
    assert not differences, "\n\n".join(str(difference) for difference in differences)
