"""The comparison with other queues: whatever the client is said to have, a test shows."""

from __future__ import annotations

import re

from .support import DOCS, ROOT

PAGE = (DOCS / "comparison.md").read_text(encoding="utf-8")
COLUMNS = 9


def rows() -> list[list[str]]:
    """The cells of each row of the tables, without their heads."""
    lines = [line.strip("|") for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"feature", "---"}]


def test_each_feature_that_the_client_has_names_a_test_that_exists() -> None:
    compared = [row for row in rows() if len(row) > 2]
    assert all(len(row) == COLUMNS + 1 for row in compared)
    tested = {row[0]: row[1] for row in rows() if len(row) == 2}
    assert tested.keys() == {row[0] for row in compared if row[1].startswith("yes")}
    for feature, test in tested.items():
        file, _, name = test.strip("`").partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), feature
