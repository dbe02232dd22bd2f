"""Clause coverage against the contract's clauses, the fake's operations and the recordings."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import pytest

from codeq_contract.recordings.shipped import FOLDER
from codeq_fake.auth import Refusal
from codeq_fake.clause_coverage.coverage import changes, clauses, coverage, facts, markdown
from codeq_fake.core import errors as core_errors
from codeq_fake.http import OPERATIONS
from codeq_fake.testing import FakeCodeQ
from tests.clauses import CLAUSE_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codeq_fake.http import Operation


def numbered(letter: str, last: int) -> list[str]:
    return [f"{letter}{number}" for number in range(1, last + 1)]


CLAUSES = [
    *numbered("R", 23),
    *numbered("B", 3),
    *numbered("A", 9),
    "T",
    *numbered("T", 2),
    *numbered("C", 9),
    *numbered("K", 11),
    *numbered("H", 4),
    *numbered("D", 2),
    *numbered("N", 6),
    *numbered("S", 8),
    *numbered("W", 4),
    *numbered("U", 9),
    *numbered("M", 3),
    *numbered("L", 2),
    *numbered("X", 1),
    "settings",
    *numbered("Z", 6),
]

OF_MAIN_ONLY = [*numbered("G", 9), "Q1"]
OF_PEBBLE_ONLY = numbered("P", 16)

#: The refusals that do not come from the core, and the operations that can raise them.
BEFORE_THE_CORE: dict[str, Callable[[Operation], bool]] = {
    "Unauthenticated": lambda operation: operation.right != "anyone",
    "Forbidden": lambda operation: operation.scope != "",
    "RateLimited": lambda operation: operation.limit is not None,
    "BadBody": lambda operation: operation.body is not None,
    "BodyTooLarge": lambda operation: operation.body is not None,
    "BadRequest": lambda operation: operation.name in {"create_batch", "claim_batch", "submit_batch", "cleanup"},
}

#: Which operations can be refused for which reason of the core.
#: Only main refuses these (G3, G9): `tests/versions`.
OF_MAIN = {"InvalidTopic", "TopicNotFound", "ArtifactRefused"}

REFUSED = {
    "create": "InvalidCommand InvalidWebhook InvalidRunAt InvalidDelay",
    "claim": "EventTypeNotAllowed WorkerRequired LeaseRefused",
    "claim_batch": "EventTypeNotAllowed WorkerRequired LeaseRefused",
    "heartbeat": "TaskNotFound NotOwner",
    "abandon": "TaskNotFound NotOwner",
    "nack": "TaskNotFound NotOwner NotInProgress",
    "submit": "TaskNotFound NotOwner NotInProgress ArtifactUndecodable ResultRequired ErrorRequired InvalidStatus",
    "subscribe": "InvalidCallbackUrl InvalidDeliveryMode GroupRequired",
    "renew": "SubscriptionNotFound",
    "get": "TaskNotFound",
    "result": "TaskNotFound ResultNotFound",
}

#: The kinds of faults that are races, in the order of their clauses.
RACES = ("redeliver_finished", "lose_task", "revoke_lease", "false_empty", "accept_result_twice", "double_create")

#: Touched by every reply, JSON body or refusal, whatever the operation or the reason.
COMMON = {"R20", "R21", "R22", "R23"}


def touched(*seen: tuple[str, str]) -> dict[str, int]:
    return {entry["id"]: entry["touched"] for entry in coverage(Counter(seen))["clauses"] if entry["touched"]}


def leaves(base: type[Exception]) -> Iterable[type[Exception]]:
    for refusal in base.__subclasses__():
        yield from leaves(refusal) if refusal.__subclasses__() else [refusal]


def calls(name: str) -> Iterable[tuple[str, str]]:
    """Method and path of each call in the recordings that ``name`` stands for."""
    for file in FOLDER.glob(f"*/*/{name}.jsonl.gz"):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if line["kind"] == "call":
                    yield line["method"], line["path"].partition("?")[0]


def path_of(operation: Operation) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path))


def test_every_clause_of_the_contract_is_listed_once_and_in_order() -> None:
    assert [entry["id"] for entry in coverage({})["clauses"]] == CLAUSES


def test_an_entry_is_plain_json() -> None:
    (entry,) = (entry for entry in coverage({("create", ""): 2})["clauses"] if entry["id"] == "C8")
    assert entry == {
        "id": "C8",
        "says": "An idempotency key brings back the task that it first made for 24 hours, for any caller.",
        "certainty": "observed",
        "recordings": ["create_idempotent"],
        "ours": "exact",
        "note": "",
        "touched": 0,
        "facts": entry["facts"],
    }
    assert entry["facts"][5] == {
        "id": "C8.6",
        "says": "Keys are compared as sent: a blank at the end makes another key.",
        "ours": "exact",
    }
    assert json.loads(json.dumps(coverage({}))) == coverage({})


def test_the_version_of_the_real_server_is_named() -> None:
    assert coverage({})["version"] == "v0.3.3"


def test_each_clause_has_one_sentence_and_none_twice() -> None:
    sentences = [entry["says"] for entry in coverage({})["clauses"]]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)


def test_clauses_known_only_from_the_source_are_marked() -> None:
    assert [entry["id"] for entry in coverage({})["clauses"] if entry["certainty"] == "source"] == ["Z4"]


def test_every_difference_and_doubt_has_a_reason() -> None:
    for entry in coverage({})["clauses"]:
        if entry["ours"] != "exact" or entry["certainty"] == "source":
            assert entry["note"], entry["id"]


def test_the_differences_are_these() -> None:
    ours = {entry["id"]: entry["ours"] for entry in coverage({})["clauses"] if entry["ours"] != "exact"}
    assert ours == {
        **dict.fromkeys(["R18", "B2", "B3", "A4", "K7", "K11", "H2", "D2", "S2", "S5", "W1", "U4", "L2"], "differs"),
        "settings": "differs",
        **dict.fromkeys(numbered("Z", 6), "differs"),
    }


def test_a_clause_differs_where_one_of_its_facts_does() -> None:
    for entry in coverage({})["clauses"]:
        assert entry["facts"], entry["id"]
        assert entry["ours"] == "differs" or {fact["ours"] for fact in entry["facts"]} == {"exact"}, entry["id"]


def test_facts_that_differ_are_facts_of_their_clause() -> None:
    for clause in clauses():
        assert set(clause.differing_facts) <= facts()[clause.id].keys()


def test_every_recording_that_is_named_exists() -> None:
    for entry in coverage({})["clauses"]:
        for name in entry["recordings"]:
            assert list(FOLDER.glob(f"*/*/{name}.jsonl.gz")), (entry["id"], name)


def test_all_clauses_but_a_header_and_the_races_were_recorded() -> None:
    bare = [entry["id"] for entry in coverage({})["clauses"] if not entry["recordings"]]
    assert bare == ["R20", *numbered("Z", 6)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: CLAUSE_OF[operation.name])
def test_a_route_is_called_in_each_recording_that_it_names(operation: Operation) -> None:
    (entry,) = (entry for entry in coverage({})["clauses"] if entry["id"] == CLAUSE_OF[operation.name])
    path = path_of(operation)
    for name in entry["recordings"]:
        assert any(method == operation.method and path.fullmatch(called) for method, called in calls(name)), name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_call_touches_its_route_and_what_it_does(operation: Operation) -> None:
    ids = touched((operation.name, "")).keys()
    assert [id_ for id_ in ids if id_ in {CLAUSE_OF[each.name] for each in OPERATIONS}] == [CLAUSE_OF[operation.name]]
    assert ids - COMMON - {CLAUSE_OF[operation.name]}


@pytest.mark.parametrize("reason", BEFORE_THE_CORE)
def test_a_refusal_before_the_core_touches_its_clause(reason: str) -> None:
    refusing = [operation for operation in OPERATIONS if BEFORE_THE_CORE[reason](operation)]
    assert refusing
    for operation in refusing:
        assert touched((operation.name, reason)).keys() - COMMON - {CLAUSE_OF[operation.name]}, operation.name


@pytest.mark.parametrize(
    ("operation", "reason"), [(name, reason) for name, reasons in REFUSED.items() for reason in reasons.split()]
)
def test_a_refusal_of_the_core_touches_its_clause(operation: str, reason: str) -> None:
    (route,) = (CLAUSE_OF[each.name] for each in OPERATIONS if each.name == operation)
    assert touched((operation, reason)).keys() - COMMON - {route}


def test_an_injected_race_touches_its_clause_and_other_faults_touch_none() -> None:
    told = touched(*(("fault", kind) for kind in (*RACES, "drop_reply")))
    assert told == {"Z1": 1, "Z2": 1, "Z3": 1, "Z4": 1, "Z5": 1, "Z6": 1}


def test_every_refusal_of_the_core_and_of_authentication_is_tested_here() -> None:
    here = {reason for reasons in REFUSED.values() for reason in reasons.split()} | BEFORE_THE_CORE.keys()
    there = {refusal.__name__ for base in (core_errors.Refused, Refusal) for refusal in leaves(base)}
    assert there <= here | OF_MAIN


@pytest.mark.parametrize(
    ("operation", "reason", "clause"),
    [
        ("create", "InvalidWebhook", "C3"),
        ("create_batch", "BadRequest", "C9"),
        ("claim", "", "K5"),
        ("claim", "EventTypeNotAllowed", "K1"),
        ("claim", "WorkerRequired", "A9"),
        ("claim", "Forbidden", "A5"),
        ("claim", "RateLimited", "L1"),
        ("claim_batch", "BadRequest", "K10"),
        ("claim", "LeaseRefused", "K11"),
        ("heartbeat", "NotOwner", "H2"),
        ("heartbeat", "BadBody", "H4"),
        ("abandon", "NotOwner", "D2"),
        ("nack", "NotOwner", "N1"),
        ("submit", "NotOwner", "S1"),
        ("submit", "ArtifactUndecodable", "S5"),
        ("get", "TaskNotFound", "S8"),
        ("get", "Unauthenticated", "A7"),
        ("result", "TaskNotFound", "S7"),
        ("queues", "Unauthenticated", "A8"),
        ("cleanup", "BadRequest", "M3"),
    ],
)
def test_a_refusal_touches_the_clause_of_the_operation(operation: str, reason: str, clause: str) -> None:
    assert clause in touched((operation, reason))


V0_3_3, MAIN = ("v0.3.3", "kvrocks-2.8"), ("main", "kvrocks-2.8")


def test_what_the_embedded_store_changes_is_told() -> None:
    assert [change.clause for change in changes(MAIN, ("main", "pebble"))] == OF_PEBBLE_ONLY


def test_what_changes_from_v0_3_3_to_main_is_told_once_and_in_words() -> None:
    found = {change.clause: change for change in changes(V0_3_3, MAIN)}
    assert list(found) == ["W4", "X1", *OF_MAIN_ONLY]
    assert [*found["G6"].amends] == ["N4", "W1"]
    assert all(change.before and change.after and change.before != change.after for change in found.values())
    back = {change.clause: change for change in changes(MAIN, V0_3_3)}
    assert (back["G5"].before, back["G5"].after) == (found["G5"].after, found["G5"].before)


def test_what_changes_from_store_to_store_is_when_leases_expire() -> None:
    assert [change.clause for change in changes(V0_3_3, ("v0.3.3", "redis"))] == ["K8"]
    assert list(changes(MAIN, MAIN)) == []


def test_the_clauses_are_those_of_the_version() -> None:
    for profile, has_topics in (("redis", False), ("main/redis", True)):
        with FakeCodeQ(profile=profile) as fake:  # type: ignore[arg-type]  # the names are those of `Profile`
            shown = {entry["id"]: entry for entry in fake.contract()["clauses"]}
        assert ("G3" in shown) == has_topics
        assert ("sends a callback" in shown["N4"]["says"]) == has_topics
        assert ("N4.7" in {fact["id"] for fact in shown["N4"]["facts"]}) != has_topics


def test_touches_add_up() -> None:
    seen = [("create", ""), ("create", ""), ("create", "BadBody"), ("claim", "")]
    counts = touched(*seen)
    assert (counts["R1"], counts["C1"], counts["B1"], counts["B2"], counts["K5"], counts["R20"]) == (3, 2, 4, 1, 1, 4)


def test_the_summary_counts_touched_clauses_and_those_that_can_be() -> None:
    reasons = ["", *BEFORE_THE_CORE, *" ".join(REFUSED.values()).split()]
    ends = [*product([each.name for each in OPERATIONS], reasons), *product(["fault"], RACES)]
    summary = coverage(dict.fromkeys(ends, 1))["summary"]
    assert summary["touched"] == summary["of"] < len(CLAUSES)
    assert coverage({("metrics", ""): 1})["summary"] == {"touched": len(["R17", "R20", "L2"]), "of": summary["of"]}
    assert coverage({})["summary"]["touched"] == 0


def test_a_fake_counts_its_own_traffic() -> None:
    task = {"command": "PACK", "payload": 1, "webhook": "nowhere"}
    with FakeCodeQ() as fake, fake.client() as http:
        http.post("/v1/codeq/tasks", json=task)
        http.post("/v1/codeq/tasks", json=task, headers={"Authorization": ""})
        touches = {entry["id"]: entry["touched"] for entry in http.get("/_fake/contract").json()["clauses"]}
    assert (touches["R1"], touches["R22"], touches["A1"], touches["C3"], touches["C1"]) == (2, 2, 1, 1, 0)


def test_a_result_and_its_task_end_at_the_same_instant() -> None:
    with FakeCodeQ() as fake, fake.client() as http:
        task = fake.enqueue("PACK")
        http.post("/v1/codeq/tasks/claim", json={"commands": ["PACK"]})
        http.post(f"/v1/codeq/tasks/{task.id}/result", json={"status": "FAILED", "error": "torn"})
        ended = http.get(f"/v1/codeq/tasks/{task.id}/result").json()
    assert ended["task"]["updatedAt"] == ended["result"]["completedAt"]


def test_the_table_names_each_clause_once() -> None:
    rows = [line.split("|")[2:5] for line in markdown().splitlines() if line.startswith("| ")][2:]
    runs = [run for row in rows for cell in row for run in re.findall(r"[\w-]+", cell)]
    assert sorted(clause for run in runs for clause in spelled_out(run)) == sorted(
        [*CLAUSES, *OF_MAIN_ONLY, *OF_PEBBLE_ONLY]
    )


def spelled_out(run: str) -> list[str]:
    first, _, last = run.partition("-")
    return [f"{first[0]}{number}" for number in range(int(first[1:]), int(last[1:]) + 1)] if last else [first]
