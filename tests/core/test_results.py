"""Results (S1 to S8)."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_fake.core import Artifact, ArtifactUpload, Location, Record, Status, Submission, errors
from codeq_fake.core.effects import ArtifactStored
from codeq_fake.core.times import SECOND
from tests.core.support import DONE, FAILED, HOOK, START, Server

BROKEN = ArtifactUpload("a.txt", content_base64="?")


def held(**request: Any) -> Server:
    """A server whose one task, `task-001`, is held by `w-1`."""
    server = Server(local_artifacts_dir="/srv/artifacts")
    server.create(**request)
    server.leased(lease_seconds=10)
    return server


def submit(server: Server, submission: Submission = DONE, *, task_id: str = "task-001", worker: str = "w-1") -> Record:
    return server.broker.submit(task_id, submission, worker=worker, now=server.now)


def test_s1_an_unknown_task_is_refused_first() -> None:
    with pytest.raises(errors.TaskNotFound):
        submit(held(), Submission("DONE", artifacts=(BROKEN,)), task_id="missing", worker="w-2")


def test_s1_then_a_task_of_another_worker() -> None:
    with pytest.raises(errors.NotOwner):
        submit(held(), Submission("DONE", artifacts=(BROKEN,)), worker="w-2")


@pytest.mark.parametrize("worker", ["w-1", "w-2", ""])
def test_s1_then_a_task_that_is_not_in_progress_for_any_worker(worker: str) -> None:
    server = held()
    submit(server)
    with pytest.raises(errors.NotInProgress):
        submit(server, Submission("DONE", artifacts=(BROKEN,)), worker=worker)


def test_s1_then_an_artifact_that_cannot_be_decoded() -> None:
    with pytest.raises(errors.ArtifactUndecodable) as refused:
        submit(held(), Submission("DONE", artifacts=(BROKEN,)))
    assert (refused.value.name, refused.value.reason) == ("a.txt", "illegal base64 data at input byte 0")


@pytest.mark.parametrize(
    ("submission", "refusal"),
    [
        (Submission("COMPLETED"), errors.ResultRequired),
        (Submission("COMPLETED", error="torn"), errors.ResultRequired),
        (Submission("FAILED"), errors.ErrorRequired),
        (Submission("FAILED", "{}"), errors.ErrorRequired),
        (Submission("FAILED", "{}", " \t\n"), errors.ErrorRequired),
        (Submission("", "{}", "torn"), errors.InvalidStatus),
        (Submission("completed", "{}", "torn"), errors.InvalidStatus),
        (Submission("PENDING", "{}", "torn"), errors.InvalidStatus),
    ],
)
def test_s1_then_what_the_status_asks_for(submission: Submission, refusal: type[errors.Refused]) -> None:
    with pytest.raises(refusal):
        submit(held(), submission)


def test_s2_the_record_tells_what_was_submitted_and_when() -> None:
    server = held()
    server.wait(2)
    record = submit(server, Submission("COMPLETED", '{"n":1}', "odd", (ArtifactUpload("a", url="http://a.test/"),)))
    assert record == Record(
        task_id="task-001",
        status="COMPLETED",
        result='{"n":1}',
        error="odd",
        artifacts=(Artifact("a", "http://a.test/"),),
        completed_at=START + 2 * SECOND,
    )


def test_s3_a_late_result_is_accepted_until_a_claim_has_repaired_the_task() -> None:
    server = held()
    server.wait(3600)
    assert submit(server).status == "COMPLETED"
    server = held()
    server.wait(3600)
    server.claim()
    with pytest.raises(errors.NotInProgress):
        submit(server)


@pytest.mark.parametrize(
    ("submission", "status", "error"),
    [
        (DONE, Status.COMPLETED, ""),
        (Submission("COMPLETED", "{}", "odd"), Status.COMPLETED, "odd"),
        (FAILED, Status.FAILED, "torn"),
    ],
)
def test_s4_the_task_has_ended(submission: Submission, status: Status, error: str) -> None:
    server = held()
    server.wait(2)
    submit(server, submission)
    task = server.broker.get("task-001")
    assert (task.status, task.location, task.error) == (status, Location.NONE, error)
    assert (task.worker, task.lease_until, task.record is not None, task.updated_at) == (
        "",
        0,
        True,
        START + 2 * SECOND,
    )
    server.wait(3600)
    assert server.claim() is None
    assert server.broker.queue_stats("A", tenant="acme").in_progress == 0


def test_s5_an_artifact_with_a_url_is_kept_as_it_is() -> None:
    links = (ArtifactUpload("a", url="not even a url", content_base64="?"), ArtifactUpload(url="u"))
    record = submit(held(), Submission("COMPLETED", "{}", artifacts=links))
    assert record.artifacts == (Artifact("a", "not even a url"), Artifact("", "u"))


def test_s5_an_artifact_with_content_is_stored_under_its_tasks_name() -> None:
    server = held()
    upload = ArtifactUpload("a.txt", content_base64="aGk", content_type="text/plain")
    record = submit(server, Submission("COMPLETED", "{}", artifacts=(upload,)))
    path = "/srv/artifacts/results/task-001/a.txt"
    assert record.artifacts == (Artifact("a.txt", f"file://{path}"),)
    assert server.effects() == [ArtifactStored(path, b"hi")]


def test_s5_linked_artifacts_come_before_stored_ones() -> None:
    uploads = (ArtifactUpload("a", content_base64="aGk="), ArtifactUpload("b", url="u"))
    record = submit(held(), Submission("COMPLETED", "{}", artifacts=uploads))
    assert [artifact.name for artifact in record.artifacts] == ["b", "a"]


def test_s5_an_artifact_with_neither_is_dropped() -> None:
    record = submit(held(), Submission("COMPLETED", "{}", artifacts=(ArtifactUpload("a", content_type="text/plain"),)))
    assert record.artifacts == ()


def test_s6_each_item_of_a_batch_gets_its_record_or_its_refusal_in_order() -> None:
    server = Server()
    mine, others, broken = (server.create() for _ in range(3))
    for worker in ("w-1", "w-2", "w-1"):
        server.leased(worker=worker)
    items = [(broken.id, Submission("DONE")), (mine.id, DONE), (others.id, DONE), (mine.id, FAILED)]
    answers = server.broker.submit_batch(items, worker="w-1", now=server.now)
    assert [type(answer) for answer in answers] == [errors.InvalidStatus, Record, errors.NotOwner, Record]
    assert (mine.status, others.status, broken.status) == (Status.FAILED, Status.IN_PROGRESS, Status.IN_PROGRESS)


def test_s6_where_every_task_exists_artifacts_are_ignored_and_there_is_no_callback() -> None:
    server = held(webhook=HOOK)
    uploads = (BROKEN, ArtifactUpload("b", url="u"), ArtifactUpload("c", content_base64="aGk="))
    (answer,) = server.broker.submit_batch(
        [("task-001", Submission("COMPLETED", "{}", artifacts=uploads))], worker="w-1", now=server.now
    )
    assert isinstance(answer, Record)
    assert answer.artifacts == ()
    assert server.effects() == []
    assert server.broker.counters.completed == {}


def test_s6_where_a_task_is_unknown_each_item_goes_the_way_of_a_single_result() -> None:
    server = held(webhook=HOOK)
    uploads = (ArtifactUpload("c", content_base64="aGk="),)
    known, unknown, twice = server.broker.submit_batch(
        [("task-001", Submission("COMPLETED", "{}", artifacts=uploads)), ("missing", DONE), ("task-001", DONE)],
        worker="w-1",
        now=server.now,
    )
    assert isinstance(known, Record)
    assert [artifact.name for artifact in known.artifacts] == ["c"]
    assert (type(unknown), type(twice)) == (errors.TaskNotFound, errors.NotInProgress)
    stored, callback = server.effects()
    assert isinstance(stored, ArtifactStored)
    assert callback == server.broker.callbacks.deliveries[1].callback
    assert server.broker.counters.completed == {("A", "COMPLETED"): 1}


def test_s6_a_batch_of_nothing_answers_nothing() -> None:
    assert Server().broker.submit_batch([], worker="w-1", now=START) == []


def test_s7_a_result_is_read_with_its_task() -> None:
    server = held()
    with pytest.raises(errors.TaskNotFound):
        server.broker.result("missing")
    with pytest.raises(errors.ResultNotFound):
        server.broker.result("task-001")
    record = submit(server)
    assert server.broker.result("task-001") == (server.broker.get("task-001"), record)


def test_s8_an_unknown_task_is_not_found() -> None:
    with pytest.raises(errors.TaskNotFound):
        Server().broker.get("missing")
