"""Each fact of the contract has a case that fails when the fact is wrong: a mutant shows it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codeq_contract.clauses import FACTS
from tests.mutants.building import FAKE, beside_the_right_one
from tests.mutants.defects import DEFECTS, Defect, named
from tests.mutants.histories import laws_broken
from tests.mutants.mutants import MUTANTS, facts_of_cases
from tests.mutants.run import built_in, failed_cases


@pytest.mark.slow
def test_each_fact_that_a_client_can_see_has_a_case_and_a_mutant() -> None:
    covered = facts_of_cases() & {mutant.fact for mutant in MUTANTS}
    visible = {fact.id for fact in FACTS.values() if not fact.invisible}
    assert sorted(visible - covered) == []


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_each_mutant_of_a_file_is_a_change_of_one_place_that_breaks_a_fact_with_a_case(file: str) -> None:
    text = (FAKE / file).read_text(encoding="utf-8") if file else ""
    for mutant in MUTANTS:
        if mutant.file == file:
            assert mutant.fact in facts_of_cases(), mutant.name
            assert not file or text.count(mutant.old) == 1, mutant.name
            assert not file or mutant.old != mutant.new, mutant.name
            compile(text.replace(mutant.old, mutant.new), f"{file} as {mutant.name}", "exec")


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_what_a_defect_changes_is_there(defect: Defect) -> None:
    with built_in(defect):
        pass


def test_no_two_mutants_of_a_fact_are_alike() -> None:
    changes = [(mutant.fact, mutant.file, mutant.old, mutant.new) for mutant in MUTANTS if mutant.file]
    assert len(set(changes)) == len(changes)


@pytest.mark.process
@pytest.mark.slow(seconds=10)
def test_a_sample_of_mutants_is_killed_by_cases_of_their_facts() -> None:
    command = [sys.executable, "-m", "tests.mutants.run", "--seconds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_defect_is_gone_with_its_context() -> None:
    defect = named("lowest_priority_first")
    with built_in(defect):
        assert failed_cases([defect.fact]) == ["test_higher_priorities_come_first_and_then_older_tasks"]
    assert failed_cases([defect.fact]) == []


@pytest.mark.slow
def test_no_law_is_broken_in_random_histories_of_a_clean_fake() -> None:
    assert laws_broken(range(8)) == {}


@pytest.mark.slow
def test_random_histories_show_a_defect_by_the_law_that_is_meant_for_it() -> None:
    with built_in(named("lease_expires_early")):
        assert "one-lease" in laws_broken(range(2))


@pytest.mark.slow
def test_a_module_that_is_imported_late_cannot_be_another_beside_the_right_one() -> None:
    file = "http/redirects.py"
    with pytest.raises(ValueError, match=f"{file} is imported late"):
        beside_the_right_one(file, (FAKE / file).read_text(encoding="utf-8"))
