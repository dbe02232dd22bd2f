"""Canary for `_compat.attrs`: what the client reads of attrs classes."""

from __future__ import annotations

import attrs

from codeq_client._compat.attrs import attrs_fields


@attrs.define
class Order:
    job_id: str
    _secret: int = 0
    total: int = attrs.field(default=0, init=False)


@attrs.define
class Empty:
    pass


def test_fields_have_name_alias_and_init() -> None:
    fields = attrs_fields(Order)
    assert fields is not None, "attrs does not set __attrs_attrs__ any more: payloads of attrs classes are refused"
    assert [(field.name, field.alias, field.init) for field in fields] == [
        ("job_id", "job_id", True),
        ("_secret", "secret", True),
        ("total", "total", False),
    ], "attrs fields have other names: attrs payloads are built wrongly"


def test_a_class_without_fields_is_an_attrs_class_and_others_are_not() -> None:
    assert attrs_fields(Empty) == ()
    assert attrs_fields(dict) is None
