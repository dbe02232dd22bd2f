"""The OpenAPI document as a person reads it: routes with their fields, replies and examples, references followed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Node = Mapping[str, Any]

_METHODS = ("get", "post", "put", "delete")

_ABOUT = {"other": "For whoever watches the server", "webhooks": "What the server itself sends"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body, or a parameter; ``place`` says where a parameter stands."""

    name: str
    type: str
    required: bool
    about: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a route: its status, what it means, its fields and an example as JSON text."""

    status: str
    about: str
    fields: Sequence[Field]
    example: str


@dataclass(frozen=True, slots=True)
class Call:
    """One route, or one request that the server makes itself."""

    id: str
    method: str
    path: str
    title: str
    about: str
    parameters: Sequence[Field]
    fields: Sequence[Field]
    example: str
    replies: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class Group:
    """Routes that belong together."""

    name: str
    about: str
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole document."""

    title: str
    version: str
    about: str
    groups: Sequence[Group]


def read(document: Node) -> Reference:
    """Read an OpenAPI document."""
    reader = _Reader(document)
    calls: dict[str, list[Call]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                call = reader.call(method, path, item[method], item.get("parameters", ()))
                calls.setdefault(next(iter(item[method].get("tags", ())), "other"), []).append(call)
    calls["webhooks"] = [
        reader.call(method, name, item[method], ()) for name, item in document["webhooks"].items() for method in item
    ]
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    groups = [Group(name, about.get(name, _ABOUT.get(name, "")), known) for name, known in calls.items()]
    info = document["info"]
    return Reference(info["title"], info["version"], info["description"], groups)


class _Reader:
    def __init__(self, document: Node) -> None:
        self._document = document

    def call(self, method: str, path: str, operation: Node, shared: Sequence[Node]) -> Call:
        body = self._content(self._follow(operation.get("requestBody", {})))
        parameters = map(self._follow, [*shared, *operation.get("parameters", ())])
        return Call(
            id=operation.get("operationId", path),
            method=method.upper(),
            path=path,
            title=operation["summary"],
            about=operation.get("description", ""),
            parameters=[self._parameter(parameter) for parameter in parameters],
            fields=list(self._fields(body.get("schema", {}))),
            example=self._example(body),
            replies=[self._reply(str(status), self._follow(reply)) for status, reply in operation["responses"].items()],
        )

    def _reply(self, status: str, reply: Node) -> Reply:
        content = self._content(reply)
        return Reply(
            status, reply["description"], list(self._fields(content.get("schema", {}))), self._example(content)
        )

    def _parameter(self, parameter: Node) -> Field:
        shape = self._type(parameter["schema"])
        about = parameter.get("description", "")
        return Field(parameter["name"], shape, parameter.get("required", False), about, parameter["in"])

    def _follow(self, node: Node) -> Node:
        while "$ref" in node:
            found: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node

    @staticmethod
    def _content(node: Node) -> Node:
        """What is said of the body, whatever its media type."""
        return next(iter(node.get("content", {}).values()), {})

    def _example(self, content: Node) -> str:
        if "example" in content:
            return json.dumps(content["example"], indent=2, ensure_ascii=False)
        for example in content.get("examples", {}).values():
            return json.dumps(self._follow(example)["value"], indent=2, ensure_ascii=False)
        return ""

    def _fields(self, schema: Node) -> Iterator[Field]:
        """The fields of an object; of several parts that make or may make it, those of each, a name once."""
        known: dict[str, Field] = {}
        for part in self._parts(schema):
            needed = part.get("required", ())
            for name, shape in part.get("properties", {}).items():
                field = Field(name, self._type(shape), name in needed, self._follow(shape).get("description", ""))
                earlier = known.get(name)
                if earlier is not None:
                    field = Field(name, earlier.type, earlier.required or field.required, earlier.about or field.about)
                known[name] = field
        yield from known.values()

    def _parts(self, schema: Node) -> Iterator[Node]:
        schema = self._follow(schema)
        yield schema
        for key in ("allOf", "oneOf", "anyOf"):
            for part in schema.get(key, ()):
                yield from self._parts(part)

    def _type(self, shape: Node) -> str:
        """A type in a few words."""
        name = shape["$ref"].rpartition("/")[2] if "$ref" in shape else ""
        shape = self._follow(shape)
        if "const" in shape:
            return json.dumps(shape["const"])
        if "enum" in shape:
            return " | ".join(map(str, shape["enum"]))
        if shape.get("type") == "array" or "array" in shape.get("type", ()):
            return f"list of {self._type(shape.get('items', {}))}"
        kinds = shape.get("type", "any value")
        return name or (kinds if isinstance(kinds, str) else " or ".join(kinds))
