"""Reads rules from the JSON of the control API and from YAML files, and writes them as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from codeq_fake.documents import BadDocumentError

from .kinds import text_of
from .rule import CALLBACK, KINDS, NOTICE, REQUEST, BadFaultError, Rule

#: The values that a rule's `on` may have for requests -> the name of the occasion.
Names: TypeAlias = Mapping[str, str]

_JSON_NAMES: Mapping[str, str] = MappingProxyType({"retry_after": "retryAfter"})
#: Field of `Rule` -> its name in JSON.
_FIELDS: Mapping[str, str] = MappingProxyType({f.name: _JSON_NAMES.get(f.name, f.name) for f in fields(Rule)})
KNOWN_FIELDS = tuple(_FIELDS.values())

_WHOLE = ("nth", "times", "seed", "status", "retry_after")
_NUMBERS = ("seconds", "probability")


def read_rules(text: str, names: Names) -> list[Rule]:
    """Read a YAML or JSON file: a list of rules, or an object with the list as `faults`. Raises BadFaultError."""
    from codeq_fake.documents.yaml_text import read_yaml  # noqa: PLC0415 - only fakes with a file of rules pay for it

    try:
        content = read_yaml(text)
    except BadDocumentError as error:
        raise BadFaultError(f"no YAML or JSON: {error}") from None
    rules = content.get("faults") if isinstance(content, dict) and content.keys() == {"faults"} else content
    if not isinstance(rules, list) or not rules:
        raise BadFaultError("give a list of rules, such as [{on: complete, do: drop_reply, times: 1}]")
    read: list[Rule] = []
    for n, rule in enumerate(rules, start=1):
        try:
            read.append(named(rule_of(rule), names))
        except BadFaultError as refusal:
            raise BadFaultError(f"rule {n}: {refusal}") from None
    return read


def rule_of(fields: object) -> Rule:
    """Read one rule; `null` counts as missing. Raises BadFaultError."""
    if not isinstance(fields, dict):
        raise BadFaultError(f"found {fields!r} where a rule such as {{on: complete, do: drop_reply}} belongs")
    fields = {"on" if name is True else name: value for name, value in fields.items()}  # YAML 1.1 reads `on` as true
    if unknown := sorted(str(name) for name in fields if name not in KNOWN_FIELDS):
        raise BadFaultError(f"unknown: {', '.join(unknown)}; known are {', '.join(KNOWN_FIELDS)}")
    values = {name: fields[json_name] for name, json_name in _FIELDS.items() if fields.get(json_name) is not None}
    if "do" not in values:
        raise BadFaultError(f"do is missing; known are {', '.join(KINDS)}")
    return Rule(**{name: _value(name, value) for name, value in values.items()})


def shown(rule: Rule) -> dict[str, Any]:
    """A rule as plain JSON values, without defaults; `rule_of` reads it again."""
    fields = {
        json_name: getattr(rule, name)
        for name, json_name in _FIELDS.items()
        if getattr(rule, name) not in (None, "", ()) and (name, getattr(rule, name)) not in _DEFAULTS
    }
    return fields | ({"headers": dict(rule.headers)} if rule.headers else {})


_DEFAULTS = (("probability", 1.0), ("seed", 0))


def named(rule: Rule, names: Names) -> Rule:
    """Check a rule's `on`, and return the rule with the name of that occasion as its `on`. Raises BadFaultError."""
    if not rule.on:
        return rule
    on = rule.on if rule.on in (CALLBACK, NOTICE) else names.get(_normal(rule.on))
    if on is None:
        operations = ", ".join(name for name in names if " " not in name)
        raise BadFaultError(
            f"on: {rule.on!r} is not an operation or a route; known are {operations}, callback, "
            "notice, and routes such as POST /v1/codeq/tasks/{id}/result"
        )
    kind = KINDS[rule.do]
    allowed = (kind.only or kind.on | set(names.values())) - {REQUEST}
    if on not in allowed:
        raise BadFaultError(f"on: {rule.do} cannot happen on {on}, only on {', '.join(sorted(allowed))}")
    if rule.task and on in ("claim", "claim_batch"):
        raise BadFaultError("task: a claim does not say which task it will get; give command, nth or worker")
    return replace(rule, on=on)


def _normal(on: str) -> str:
    """Write a route's parameters as `{id}`; the contract's `:id` is allowed too."""
    return "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in on.split("/"))


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - what YAML and JSON have
    """One field of a rule, from YAML or JSON to what `Rule` takes. Raises BadFaultError."""
    if name in _WHOLE:
        return _checked(name, value, type(value) is int, "a whole number")
    if name in _NUMBERS:
        return _checked(name, value, type(value) in (int, float), "a number")
    if name == "body":
        return text_of(value)
    if name == "headers":
        is_fit = isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
        return tuple(_checked(name, value, is_fit, "an object of texts").items())
    return _checked(name, value, isinstance(value, str), "a text")


def _checked(name: str, value: Any, is_fit: bool, wanted: str) -> Any:  # noqa: ANN401, FBT001 - as above
    if not is_fit:
        raise BadFaultError(f"{_FIELDS[name]}: found {value!r}, {wanted} belongs here")
    return value
