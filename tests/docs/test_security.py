"""The page on security states each limit with the figure of the code."""

from __future__ import annotations

import re

import pytest

from codeq_fake.auth import jwks
from codeq_fake.auth.jwt import LONGEST as LONGEST_TOKEN
from codeq_fake.control.limits import LARGEST_CALL, LARGEST_STATE, MOST_FAULT_RULES
from codeq_fake.core.settings import CoreSettings
from codeq_fake.core.task import HISTORY_LIMIT
from codeq_fake.core.times import SECOND
from codeq_fake.documents.errors import DEEPEST
from codeq_fake.documents.yaml_text import MOST_REPEATED
from codeq_fake.http.limits import LARGEST_BATCH, LARGEST_BODY, LONGEST_CLAIM_WAIT, MOST_ARTIFACTS, MOST_COMMANDS
from codeq_fake.journal import DEFAULT_BYTES, DEFAULT_SIZE
from codeq_fake.page.limits import LARGEST_FORM
from codeq_fake.runtime.webhook_deliveries import MOST_AT_ONCE, TIMEOUT
from codeq_fake.serving.server import DEFAULT_LIMITS

from .support import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LIMITS = PAGE.partition("## Limits")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", LIMITS.partition("| --- | --- |")[2], re.MULTILINE))


def mib(size: int) -> str:
    return f"{size / 1024 / 1024:g} MiB"


@pytest.mark.parametrize(
    ("row", "figures"),
    [
        ("request body", [mib(LARGEST_BODY), mib(LARGEST_STATE), f"{LARGEST_CALL // 1024} KiB"]),
        ("bearer token", [f"{LONGEST_TOKEN // 1024} KiB"]),
        ("fault rules", [f"{MOST_FAULT_RULES:,}"]),
        ("nesting of YAML and JSON in files, settings and control calls", [f"{DEEPEST} levels"]),
        ("values that the aliases of a YAML document repeat", [f"{MOST_REPEATED:,}"]),
        ("fetch of a JWKS document", [mib(jwks.LARGEST), f"{jwks.INTERVAL} s between", f"first {jwks.MOST_KEYS} keys"]),
        ("items of a batch of tasks or results", [f"{LARGEST_BATCH},"]),
        ("commands of a claim or a subscription", [f"{MOST_COMMANDS:,},"]),
        ("artifacts of a request with results", [f"{MOST_ARTIFACTS:,},"]),
        ("long poll", [f"{LONGEST_CLAIM_WAIT} s"]),
        ("journal of requests and of callbacks", [f"{DEFAULT_SIZE:,} entries", mib(DEFAULT_BYTES)]),
        ("form of the page", [mib(LARGEST_FORM)]),
        ("callback", [f"{TIMEOUT // SECOND} s for an answer", f"{CoreSettings().result_webhook_max_attempts} tries"]),
        ("callbacks and notices under way", [f"{MOST_AT_ONCE} at once"]),
        ("history of a task", [f"{HISTORY_LIMIT:,} entries"]),
        ("head of a request", [mib(DEFAULT_LIMITS.head_bytes)]),
        ("time for a head", [f"{DEFAULT_LIMITS.head_seconds} s", f"{DEFAULT_LIMITS.body_rate:,} bytes"]),
        ("connections", [f"{DEFAULT_LIMITS.connections:,} at once"]),
    ],
)
def test_a_limit_has_the_figure_of_the_code(row: str, figures: list[str]) -> None:
    assert [figure for figure in figures if figure not in ROWS[row]] == []


def test_each_limit_has_a_figure_or_says_that_there_is_none() -> None:
    assert [row for row, limit in ROWS.items() if not re.search(r"\d|^none|^one ", limit)] == []
