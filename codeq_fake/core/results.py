"""Submitted results: their checks, in the contract's order, before anything is stored (S1, S5)."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import NamedTuple

from codeq_fake import wire

from . import errors
from .commands import is_blank
from .effects import ArtifactStored
from .task import Artifact, Event, Status, Task


@dataclass(frozen=True, slots=True)
class ArtifactUpload:
    """An artifact as submitted: with a `url`, or with its content (S5)."""

    name: str = ""
    url: str = ""
    content_base64: str = ""
    content_type: str = ""


class Submission(NamedTuple):
    """A result as submitted. `result` is a JSON object as compact text (T1), or None if it is missing."""

    status: str
    result: str | None = None
    error: str = ""
    artifacts: tuple[ArtifactUpload, ...] = ()


class CheckedSubmission(NamedTuple):
    """A valid submission: its event, its artifacts as they will be listed, and the files to write."""

    task: Task
    submission: Submission
    event: Event
    artifacts: tuple[Artifact, ...]
    files: tuple[ArtifactStored, ...]


def check_holder(task: Task | None, worker: str) -> Task:
    """The first checks of S1: the task exists, no other worker holds it, and it is in progress.

    Raises `TaskNotFound`, `NotOwner` or `NotInProgress`.
    """
    if task is None:
        raise errors.TaskNotFound
    if task.worker and task.worker != worker:
        raise errors.NotOwner
    if task.status is not Status.IN_PROGRESS:
        raise errors.NotInProgress
    return task


def check(task: Task | None, submission: Submission, *, worker: str, artifacts_dir: str) -> CheckedSubmission:
    """All checks of S1: the holder, artifacts, then the status and its fields.

    Raises also `ArtifactUndecodable`, `ResultRequired`, `ErrorRequired` or `InvalidStatus`.
    """
    return check_content(check_holder(task, worker), submission, artifacts_dir=artifacts_dir)


def check_content(task: Task, submission: Submission, *, artifacts_dir: str) -> CheckedSubmission:
    """The checks of S1 that do not depend on the task's state. Raises as `check`."""
    linked: list[Artifact] = []
    stored: list[Artifact] = []
    files: list[ArtifactStored] = []
    for upload in submission.artifacts:
        if upload.url:
            linked.append(Artifact(upload.name, upload.url))
        elif upload.content_base64:
            file = _file(task.id, upload, artifacts_dir)
            files.append(file)
            stored.append(Artifact(upload.name, "file://" + file.path))
    # The real server appends the files that it has stored, so artifacts with a URL come first (recorded).
    return CheckedSubmission(task, submission, _event(submission), (*linked, *stored), tuple(files))


def _file(task_id: str, upload: ArtifactUpload, artifacts_dir: str) -> ArtifactStored:
    try:
        content = wire.decode_base64(upload.content_base64)
    except wire.IllegalBase64 as refusal:
        raise errors.ArtifactUndecodable(upload.name, str(refusal)) from None
    return ArtifactStored(posixpath.normpath(f"{artifacts_dir}/results/{task_id}/{upload.name}"), content)


def _event(submission: Submission) -> Event:
    match submission.status:
        case "COMPLETED":
            if submission.result is None:
                raise errors.ResultRequired
            return Event.COMPLETE
        case "FAILED":
            if is_blank(submission.error):
                raise errors.ErrorRequired
            return Event.FAIL
        case _:
            raise errors.InvalidStatus
