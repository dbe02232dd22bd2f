"""Known deviations: those of the suite, and the format of a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeq_contract.clauses import CLAUSES
from codeq_contract.suite.deviations import Deviation, DeviationsError, read_deviations


def test_the_races_of_v0_3_3_are_listed_as_rare() -> None:
    listed = read_deviations("v0.3.3")
    assert {deviation.clause for deviation in listed if not deviation.case} == {"Z1", "Z3", "Z4", "Z5", "Z6"}
    assert all(deviation.rare and deviation.why and deviation.clause in CLAUSES for deviation in listed)


def test_the_fake_has_none() -> None:
    assert read_deviations("none") == ()


def test_a_case_name_covers_all_parameters() -> None:
    deviation = Deviation("K9", "why", case="test_it")
    assert deviation.covers("test_it[2]", ["K9"])
    assert deviation.covers("test_it", ["K9"])
    assert not deviation.covers("test_it_not", ["K9"])
    assert not deviation.covers("test_it", ["K3"])


@pytest.mark.parametrize("text", ["- clause: K1", "- colour: red", "{", "7", "[" * 1000, "- 7", "- !!int ''", "\x00"])
def test_any_other_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(text)
    with pytest.raises(DeviationsError, match=r"known.yaml is not a list of known deviations"):
        read_deviations(str(file))


def test_the_old_name_of_rare_is_still_read(tmp_path: Path) -> None:
    file = tmp_path / "known.yaml"
    file.write_text("- {clause: Z1, why: a race, seldom: true}")
    with pytest.deprecated_call(match="is now `rare`"):
        assert read_deviations(str(file)) == (Deviation("Z1", "a race", rare=True),)
