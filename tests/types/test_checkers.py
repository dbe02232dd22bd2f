"""The types of the public names help a user's type checker. `make types` checks the same examples with mypy.

The examples of the client's pages are checked, too; for mypy see `tests/client/test_readme.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from codeq_fake import payloads
from codeq_fake.core import PROFILES, Location, Status
from codeq_fake.core.profiles import STORES
from codeq_fake.faults.rule import KINDS
from tests.docs.support import write_typed_examples

ROOT = Path(__file__).parents[2]
EXAMPLES = [Path(__file__).with_name(name) for name in ("examples.py", "client_examples.py")]


@pytest.mark.process
@pytest.mark.slow
def test_pyright_accepts_the_examples_in_its_strict_mode(tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    write_typed_examples(examples)
    config = {
        "include": [str(file) for file in [*EXAMPLES, examples, ROOT / "client" / "examples"]],
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,  # those are mypy's
        "reportUnnecessaryTypeIgnoreComment": "error",
        "extraPaths": [str(ROOT), str(ROOT / "client"), str(examples)],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--project", str(tmp_path), "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        (payloads.Profile, [*PROFILES, *(f"v0.3.3/{store.name}" for store in STORES)]),
        (payloads.Status, Status.__members__),
        (payloads.Location, Location.__members__),
        (payloads.FaultKind, KINDS),
    ],
    ids=["profiles", "statuses", "locations", "faults"],
)
def test_a_literal_has_the_names_that_there_are(literal: object, names: object) -> None:
    assert set(get_args(literal)) == set(names)  # type: ignore[call-overload]
