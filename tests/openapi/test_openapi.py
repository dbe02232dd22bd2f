"""The OpenAPI document is valid, and every recorded call of the real server fits it."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource

from codeq_contract.recordings.shipped import FOLDER
from codeq_fake.http import OPERATIONS
from codeq_fake.openapi import document

RECORDINGS = sorted(FOLDER.glob("*/*.jsonl.gz"))
DOCUMENT = document()
URI = "urn:codeq"
REGISTRY: Registry[Any] = Registry().with_resource(
    URI, Resource.from_contents({"$schema": Draft202012Validator.META_SCHEMA["$id"], **DOCUMENT})
)
#: R18, R19: what the surface answers where there is no operation.
NO_OPERATION = {301, 307, 404}


@cache
def validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{URI}#{pointer}"}, registry=REGISTRY)


def resolved(node: Any, pointer: str) -> tuple[Any, str]:
    """A node of the document and its pointer, its reference followed."""
    while "$ref" in node:
        pointer = node["$ref"].removeprefix("#")
        node = DOCUMENT
        for part in pointer.split("/")[1:]:
            node = node[part]
    return node, pointer


def escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1")


def operation_of(call: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    path = unquote(call["path"].partition("?")[0])
    for template, item in DOCUMENT["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        method = call["method"].lower()
        if method in item and re.fullmatch(pattern, path):
            return item[method], f"/paths/{escaped(template)}/{method}"
    return None


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


def test_it_is_a_valid_document() -> None:
    validate(DOCUMENT)


def test_it_has_each_operation_of_the_surface_and_no_other() -> None:
    documented = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method in ("get", "post")
    }
    assert documented == {(operation.method, operation.path) for operation in OPERATIONS}


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: f"{file.parent.name}/{file.name.partition('.')[0]}")
def test_every_recorded_call_fits(file: Path) -> None:
    for call in calls(file):
        if call["kind"] == "callback":
            check_callback(call)
            continue
        found = operation_of(call)
        if found is None:
            assert call["status"] in NO_OPERATION, call
            continue
        check_reply(call, *found)
        check_request(call, *found)


def check_reply(call: dict[str, Any], operation: dict[str, Any], pointer: str) -> None:
    status = str(call["status"])
    assert status in operation["responses"], f"{call['method']} {call['path']} answers {status}"
    response, at = resolved(operation["responses"][status], f"{pointer}/responses/{status}")
    content_type = call["reply_headers"].get("content-type", "").partition(";")[0]
    assert (content_type or None) in (response.get("content") or {None: None})
    if content_type == "application/json":
        validator(f"{at}/content/application~1json/schema").validate(json.loads(call["reply"]))


def check_request(call: dict[str, Any], operation: dict[str, Any], pointer: str) -> None:
    if "requestBody" not in operation or not 200 <= call["status"] < 300 or not call["body"]:
        return
    if "cleanup" in pointer or "subscriptions~1{id}" in pointer:
        return  # what these two do not understand they pass over (B2)
    value = as_document(call["body"])
    if value is None or misspelled(value):
        return
    _, at = resolved(operation["requestBody"], f"{pointer}/requestBody")
    validator(f"{at}/content/application~1json/schema").validate(value)


def check_callback(callback: dict[str, Any]) -> None:
    if callback["method"] != "POST":
        return  # W4: a redirect has made it a GET without a body
    body = json.loads(callback["body"])
    name = "queueReady" if "claimUrl" in body else "taskResult"
    validator(f"/webhooks/{name}/post/requestBody/content/application~1json/schema").validate(body)
