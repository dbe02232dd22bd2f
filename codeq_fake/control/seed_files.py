"""Seed files: YAML with the tasks and subscriptions that a fake starts with. Errors name the line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from codeq_fake import wire
from codeq_fake.core.codec import Int64, MismatchError, codec
from codeq_fake.core.errors import Refused
from codeq_fake.documents import BadDocumentError
from codeq_fake.documents.yaml_text import YamlDocument
from codeq_fake.http import bodies
from codeq_fake.http.rejections import status_and_text
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.runtime.ids import TakenIdError
from codeq_fake.server_settings.readers import kind

from .errors import BadRequestError

_Shapes = MappingProxyType[str, Any]

#: The fields of a task as a create takes them (C1 to C9), with id and tenant.
_TASK: _Shapes = MappingProxyType(
    {
        "id": str,
        "tenant": str,
        "command": str,
        "payload": None,
        "priority": Int64,
        "webhook": str,
        "maxAttempts": Int64,
        "idempotencyKey": str,
        "runAt": str,
        "delaySeconds": Int64,
    }
)
#: The fields of a subscription (U1).
_SUBSCRIPTION: _Shapes = MappingProxyType(
    {
        "id": str,
        "callbackUrl": str,
        "eventTypes": list[str],
        "ttlSeconds": Int64,
        "deliveryMode": str,
        "groupId": str,
        "minIntervalSeconds": Int64,
    }
)


class SeedError(BadRequestError):
    """An entry of a seed file is invalid: `file`, `line` (from 1) and `entry` (`tasks[2]`)."""

    def __init__(self, file: str, line: int, entry: str, reason: str) -> None:
        super().__init__(f"{file} line {line}{entry and f', {entry}'}: {reason}")
        self.file = file
        self.line = line
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Entry:
    """A task or a subscription in a seed file: its fields, and their lines."""

    file: str
    place: str
    line: int
    lines: Mapping[str, int]
    fields: Mapping[str, Any]

    def error(self, reason: str, name: str = "") -> SeedError:
        """The error of this entry, or of its field `name`."""
        place = f"{self.place}.{name}" if name else self.place
        return SeedError(self.file, self.lines.get(name, self.line), place, reason)

    def check(self, shapes: _Shapes, *needed: str) -> None:
        """Raise SeedError for an unknown field, one of a wrong type, or a missing one of `needed`."""
        for name, value in self.fields.items():
            if name not in shapes:
                raise self.error(f"unknown; known are {', '.join(shapes)}", name)
            if shapes[name] is not None and value is not None:
                try:
                    codec(shapes[name]).load(value)
                except MismatchError as error:
                    raise self.error(str(error).removeprefix(": "), name) from None
        for name in needed:
            if self.fields.get(name) in (None, ""):
                raise self.error(f"{name} is missing")


@dataclass(frozen=True, slots=True)
class Seed:
    """The content of a seed file."""

    tasks: tuple[Entry, ...] = ()
    subscriptions: tuple[Entry, ...] = ()


def read_seed(file: str, text: str) -> Seed:
    """Parse the text of a seed file; `file` is its name. Raises SeedError."""
    try:
        document = YamlDocument(text)
    except BadDocumentError as error:
        raise SeedError(file, error.line or 1, "", f"no valid YAML ({error.reason})") from None
    root = document.root
    if root is None:
        return Seed()
    if not isinstance(root, yaml.MappingNode):
        raise SeedError(file, 1, "", "a mapping of tasks and subscriptions belongs here")
    entries: dict[str, tuple[Entry, ...]] = {}
    for key, node in root.value:
        if key.value not in ("tasks", "subscriptions"):
            raise SeedError(file, key.start_mark.line + 1, key.value, "unknown; known are tasks and subscriptions")
        entries[key.value] = tuple(_entries(file, key.value, node, document))
    seed = Seed(**entries)
    for task in seed.tasks:
        task.check(_TASK, "command", "payload")
    for subscription in seed.subscriptions:
        subscription.check(_SUBSCRIPTION, "callbackUrl")
    return seed


def create_all(runtime: FakeServer, seed: Seed) -> None:
    """Create the tasks and subscriptions of a seed, without notices.

    The default tenant of a task is that of the producer's token. Raises SeedError; earlier entries stay created.
    """
    tenant = runtime.producers_tenant()
    for task in seed.tasks:
        with _refusals(task, "create"):
            _create(runtime, task, tenant)
    # After the tasks, so that subscribers get no notices about them.
    for subscription in seed.subscriptions:
        with _refusals(subscription, "subscribe"):
            _subscribe(runtime, subscription)


def _create(runtime: FakeServer, task: Entry, tenant: str | None) -> None:
    """Create the task of an entry. `tenant` is the default, if there is one."""
    given = _arguments(task, "id", "tenant", "payload")
    tenant = task.fields.get("tenant", tenant)
    if tenant is None:
        raise task.error("tenant is missing; it has no default, because this fake's producers have signed tokens")
    _queue_id(runtime, task)
    try:
        payload = wire.decode(_as_json(task), _PAYLOAD).get("payload", "null")
    except wire.BadBody:
        raise task.error("not a JSON value (a number is too large)", "payload") from None
    runtime.broker.create(payload=payload, tenant=tenant, now=runtime.clock.now(), **given)


def _subscribe(runtime: FakeServer, entry: Entry) -> None:
    _queue_id(runtime, entry)
    given = _arguments(entry, "id")
    runtime.broker.subscribe(given.pop("callback_url"), now=runtime.clock.now(), **given)


def _arguments(entry: Entry, *others: str) -> dict[str, Any]:
    """The fields of an entry that are given, except `others`, as arguments of the core."""
    given = {name: value for name, value in entry.fields.items() if name not in others and value is not None}
    return bodies.arguments(given)


_PAYLOAD = wire.Struct({"payload": wire.ANY})


def _as_json(task: Entry) -> bytes:
    try:
        return json.dumps({"payload": task.fields["payload"]}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise task.error(f"not a JSON value ({error})", "payload") from None


def _queue_id(runtime: FakeServer, entry: Entry) -> None:
    """Let the task or subscription that is created next get the id of the entry, if it has one."""
    if entry.fields.get("id"):
        try:
            runtime.source.queue(ids=[entry.fields["id"]])
        except TakenIdError as taken:
            raise entry.error(f"{taken} is taken", "id") from None


@contextmanager
def _refusals(entry: Entry, operation: str) -> Iterator[None]:
    """Turn a refusal into the error of the entry, with the text of the HTTP reply."""
    try:
        yield
    except Refused as refusal:
        _, text = status_and_text(refusal, operation)
        raise entry.error(text) from None


def _entries(file: str, name: str, node: yaml.Node, document: YamlDocument) -> Iterator[Entry]:
    """The entries of one list of a seed file, each with the lines of its fields for error messages."""
    if not isinstance(node, yaml.SequenceNode):
        raise SeedError(file, node.start_mark.line + 1, name, "a list belongs here")
    for index, item in enumerate(node.value):
        place, line = f"{name}[{index}]", item.start_mark.line + 1
        try:
            value = document.value(item)
        except BadDocumentError as error:
            raise SeedError(file, error.line or line, place, error.reason) from None
        if not isinstance(value, dict):
            raise SeedError(file, line, place, f"found a {kind(value)} where a mapping belongs")
        lines = {key.value: key.start_mark.line + 1 for key, _ in item.value}
        yield Entry(file, place, line, lines, {str(field): value for field, value in value.items()})
