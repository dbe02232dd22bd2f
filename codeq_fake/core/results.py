"""Submitted results: their checks, in the contract's order, before anything is stored (S1, S5)."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from codeq_fake import wire

from . import errors
from .commands import is_blank
from .effects import ArtifactStored
from .task import Artifact, Event, Status, Task

#: The folder in which all files are, below the folder of the settings.
_RESULTS = "results"

#: The longest name of a file or folder, in bytes.
_LONGEST_NAME = 255


class ArtifactUpload(NamedTuple):
    """An artifact as submitted: with a `url`, or with its content (S5). If it has both, the URL counts.

    `content_base64` is the text that was sent. For a large body it has been decoded already: to bytes, or to the error.
    """

    name: str = ""
    url: str = ""
    content_base64: str | bytes | wire.IllegalBase64 = ""
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

    A worker without subject may end a task that another one holds (A9). Raises `TaskNotFound`, `NotOwner` or
    `NotInProgress`.
    """
    if task is None:
        raise errors.TaskNotFound
    if task.worker and worker and task.worker != worker:
        raise errors.NotOwner
    if task.status is not Status.IN_PROGRESS:
        raise errors.NotInProgress
    return task


class Artifacts(NamedTuple):
    """Where a server stores artifacts, and whether their names must not lead out of there (G9)."""

    folder: str
    checks_names: bool

    def file(self, task_id: str, upload: ArtifactUpload) -> ArtifactStored:
        """The file of an artifact. Raises `ArtifactUndecodable` or `ArtifactRefused`."""
        content = upload.content_base64
        try:
            if isinstance(content, wire.IllegalBase64):
                raise content
            if isinstance(content, str):
                content = wire.decode_base64(content)
        except wire.IllegalBase64 as refusal:
            raise errors.ArtifactUndecodable(upload.name, str(refusal)) from None
        path = posixpath.normpath(f"{_RESULTS}/{task_id}/{upload.name}")
        file = posixpath.normpath(f"{self.folder}/{path}")
        if not self.checks_names:
            fault = _fault(file, posixpath.normpath(f"{self.folder}/{_RESULTS}"))
        elif path in (".", "..") or path.startswith("../"):
            fault = f"upload path escapes root: {wire.go_quote(path)}"
        else:
            fault = _fault(path, _RESULTS, at="at")
        if fault is not None:
            raise errors.ArtifactRefused(upload.name, fault)
        return ArtifactStored(file, content)


def _fault(path: str, folder: str, *, at: str = "") -> str | None:
    """The error with which Go would fail to create a file, or None. `folder` exists, and all folders around it.

    `at` is the suffix in the names of the system calls: a newer server uses `openat` and `mkdirat`.
    """
    if posixpath.commonpath([path, folder]) == path:
        return f"open{at} {path}: is a directory"
    parts = path.split("/")
    for number, part in enumerate(parts, 1):
        reason = _fault_of_name(part)
        if reason is not None:
            call = "open" if number == len(parts) else "mkdir"
            return f"{call}{at} {'/'.join(parts[:number])}: {reason}"
    return None


def _fault_of_name(name: str) -> str | None:
    """Why no file can have this name, or None."""
    if "\0" in name:
        return "invalid argument"
    return "file name too long" if len(name.encode()) > _LONGEST_NAME else None


def check(task: Task | None, submission: Submission, *, worker: str, artifacts: Artifacts) -> CheckedSubmission:
    """All checks of S1: the holder, artifacts, then the status and its fields.

    Raises also `ArtifactUndecodable`, `ArtifactRefused`, `ResultRequired`, `ErrorRequired` or `InvalidStatus`.
    """
    return check_content(check_holder(task, worker), submission, artifacts=artifacts)


def check_content(task: Task, submission: Submission, *, artifacts: Artifacts) -> CheckedSubmission:
    """The checks of S1 that do not depend on the task's state. Raises as `check`."""
    linked: list[Artifact] = []
    stored: list[Artifact] = []
    files: list[ArtifactStored] = []
    for upload in submission.artifacts:
        if upload.url:
            linked.append(Artifact(upload.name, upload.url))
        elif upload.content_base64:
            file = artifacts.file(task.id, upload)
            files.append(file)
            stored.append(Artifact(upload.name, "file://" + file.path))
    # The real server appends the files that it has stored, so artifacts with a URL come first (recorded).
    return CheckedSubmission(task, submission, _event(submission), (*linked, *stored), tuple(files))


def _event(submission: Submission) -> Event:
    """The event that a result is for its task. Raises a `Refused` for a status that it must not have (S1)."""
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
