"""The register against the cases."""

from __future__ import annotations

import pytest

from codeq_contract import clauses
from codeq_contract.clauses import CLAUSES, RegisterError, check_case, check_complete


def test_every_clause_needs_a_case() -> None:
    check_complete(CLAUSES)
    with pytest.raises(RegisterError, match="no case names K8, and no reason is given why"):
        check_complete(clause for clause in CLAUSES if clause != "K8")


def test_a_clause_without_case_has_a_reason_and_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clauses, "WITHOUT_CASE", {"K8": "it takes too long"})
    check_complete(clause for clause in CLAUSES if clause != "K8")
    with pytest.raises(RegisterError, match="said to have no case: it takes too long"):
        check_case("test_it", ["core"], ["K8"])


@pytest.mark.parametrize(
    ("groups", "claimed", "error"),
    [
        (["core"], [], "test_it names no clause of the contract"),
        (["core"], ["C99"], "test_it names C99, which the contract does not have"),
        (["core"], ["C1", "C1"], "test_it names C1 twice"),
        ([], ["C1"], "test_it is in 0 groups"),
        (["core", "timed"], ["C1"], "test_it is in 2 groups"),
    ],
)
def test_a_case_is_in_one_group_and_names_clauses_once(groups: list[str], claimed: list[str], error: str) -> None:
    with pytest.raises(RegisterError, match=error):
        check_case("test_it", groups, claimed)
