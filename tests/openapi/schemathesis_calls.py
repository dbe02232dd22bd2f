"""Calls that schemathesis makes from the OpenAPI document. `test_schemathesis` runs this module with its plugin."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from codeq_fake.openapi import document
from codeq_fake.testing import FakeCodeQ

FAKE = FakeCodeQ()
SCHEMA = schemathesis.openapi.from_dict(document())
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
HEADERS = {"Authorization": "Bearer dev-token"}


@SCHEMA.parametrize()
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_fake_answers_as_documented(case: schemathesis.Case[Any]) -> None:
    if isinstance(case.body, dict):
        case.body.pop("waitSeconds", None)  # a long poll would wait for the clock, which stands still
    case.call_and_validate(app=FAKE.app, headers=HEADERS, checks=CHECKS)
