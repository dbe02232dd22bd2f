"""The OpenAPI document is valid, and every recorded call of the real server fits it."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from jsonschema_rs import Draft202012Validator, Registry
from openapi_spec_validator import validate

from codeq_contract.recordings.shipped import FOLDER, shipped_names
from codeq_fake.http import OPERATIONS
from codeq_fake.http.operations import TOPIC_OPERATIONS, Operation
from codeq_fake.openapi import document

#: R18, R19: what the surface answers where there is no operation.
NO_OPERATION = {301, 307, 404}
METHODS = ("get", "post", "put", "delete")
URI = "urn:codeq"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Described:
    """The document of a profile, and what it says of a call."""

    def __init__(self, profile: str) -> None:
        self.document = document(*profile.split("/"))
        self._registry = Registry([(URI, {"$schema": DIALECT, **self.document})])
        self._validators: dict[str, Draft202012Validator] = {}
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))), template, item)
            for template, item in self.document["paths"].items()
        ]

    def validator(self, pointer: str) -> Draft202012Validator:
        if pointer not in self._validators:
            schema = {"$ref": f"{URI}#{quote(pointer)}"}
            self._validators[pointer] = Draft202012Validator(schema, registry=self._registry)
        return self._validators[pointer]

    def resolved(self, node: Any, pointer: str) -> tuple[Any, str]:
        """A node of the document and its pointer, its reference followed."""
        while "$ref" in node:
            pointer = node["$ref"].removeprefix("#")
            node = self.document
            for part in pointer.split("/")[1:]:
                node = node[part]
        return node, pointer

    def operation_of(self, call: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
        path, method = unquote(call["path"].partition("?")[0]), call["method"].lower()
        for pattern, template, item in self._paths:
            if method in item and pattern.fullmatch(path):
                return item[method], f"/paths/{escaped(template)}/{method}"
        return None


@cache
def described(profile: str) -> Described:
    return Described(profile)


def escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1")


def calls(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        return [line for line in map(json.loads, lines) if line["kind"] != "header"]


def as_document(body: str) -> Any:
    """The body as JSON that the document speaks of: fields spelled as documented, nothing behind the value, or None."""
    try:
        return json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def misspelled(value: Any) -> bool:
    """Whether the server found a field only by folding its case (B1), or the body repeats one."""
    return isinstance(value, dict) and any(name != name[:1].lower() + name[1:] for name in value)


@pytest.mark.parametrize(
    ("profile", "operations"),
    [
        ("v0.3.3/redis", OPERATIONS),
        ("main/redis", OPERATIONS + TOPIC_OPERATIONS),
        ("main/pebble", OPERATIONS + TOPIC_OPERATIONS),
    ],
)
def test_it_is_a_valid_document_and_has_each_operation_of_the_profile(
    profile: str, operations: tuple[Operation, ...]
) -> None:
    validate(described(profile).document)
    documented = {
        (method.upper(), path)
        for path, item in described(profile).document["paths"].items()
        for method in item
        if method in METHODS
    }
    assert documented == {(operation.method, operation.path) for operation in operations}


@pytest.mark.parametrize("name", shipped_names())
def test_every_recorded_call_fits(name: str) -> None:
    profile = described(name.rpartition("/")[0])
    for call in calls(FOLDER / f"{name}.jsonl.gz"):
        if call["kind"] == "callback":
            check_callback(profile, call)
            continue
        found = profile.operation_of(call)
        if found is None:
            assert call["status"] in NO_OPERATION, call
            continue
        check_reply(profile, call, *found)
        check_request(profile, call, *found)


def check_reply(profile: Described, call: dict[str, Any], operation: dict[str, Any], pointer: str) -> None:
    status = str(call["status"])
    assert status in operation["responses"], f"{call['method']} {call['path']} answers {status}"
    response, at = profile.resolved(operation["responses"][status], f"{pointer}/responses/{status}")
    content_type = call["reply_headers"].get("content-type", "").partition(";")[0]
    assert (content_type or None) in (response.get("content") or {None: None})
    if content_type == "application/json":
        profile.validator(f"{at}/content/application~1json/schema").validate(json.loads(call["reply"]))


def check_request(profile: Described, call: dict[str, Any], operation: dict[str, Any], pointer: str) -> None:
    if "requestBody" not in operation or not 200 <= call["status"] < 300 or not call["body"]:
        return
    if "cleanup" in pointer or "subscriptions~1{id}" in pointer:
        return  # what these two do not understand they pass over (B2)
    value = as_document(call["body"])
    if value is None or misspelled(value):
        return
    _, at = profile.resolved(operation["requestBody"], f"{pointer}/requestBody")
    profile.validator(f"{at}/content/application~1json/schema").validate(value)


def check_callback(profile: Described, callback: dict[str, Any]) -> None:
    if callback["method"] != "POST":
        return  # W4: a redirect has made it a GET without a body
    body = json.loads(callback["body"])
    name = "queueReady" if "claimUrl" in body else "taskResult"
    profile.validator(f"/webhooks/{name}/post/requestBody/content/application~1json/schema").validate(body)
