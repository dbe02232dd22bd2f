"""Writes what is made from something else: run `python -m docs.generate`.

That is the pages docs/reference/settings.md and differences.md, the maps of the packages in docs/architecture.md, the
fake's copy of the facts of the contract suite, and the suite's copy of which recordings show which clauses. The page of
the commands is not kept here: `site` makes it by `commands_page`.
"""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from codeq_contract.clauses import CLAUSES, FACTS
from codeq_contract.recordings.shipped import shipped_names
from codeq_fake.clause_coverage.coverage import clauses
from docs.architecture_maps import with_maps
from docs.differences_page import differences
from docs.settings_page import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCS = Path(__file__).parent


def architecture() -> str:
    """The page of the architecture as it is, with its maps up to date."""
    return with_maps((DOCS / "architecture.md").read_text(encoding="utf-8"))


def facts() -> str:
    """The facts of each clause for the fake, which may not import the contract suite."""
    by_clause: dict[str, dict[str, Any]] = {clause: {} for clause in CLAUSES}
    for fact in FACTS.values():
        by_clause[fact.clause][fact.id] = {"says": fact.says, "only": fact.only, "unless": fact.unless}
    return json.dumps(by_clause, indent=1, ensure_ascii=False) + "\n"


def clauses_of_recordings() -> str:
    """The clauses that each recording shows, for the contract suite, which may not import the fake."""
    return json.dumps({name: _clauses_shown(*name.split("/")) for name in shipped_names()}, indent=1) + "\n"


def _clauses_shown(version: str, store: str, recording: str) -> list[str]:
    """The clauses that a recording shows. Where one does not hold, those that it changes elsewhere count."""
    shown: set[str] = set()
    for clause in clauses():
        if any(fnmatch.fnmatch(recording, pattern) for pattern in clause.recordings):
            shown.update([clause.id] if clause.holds_on(version, store) else clause.amends)
    return [clause.id for clause in clauses() if clause.id in shown]


#: The pages, each with the function that writes it.
PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "architecture.md": architecture,
        "reference/settings.md": settings,
        "reference/differences.md": differences,
        "../codeq_fake/clause_coverage/facts.json": facts,
        "../contract_tests/codeq_contract/recordings/clauses.json": clauses_of_recordings,
    }
)


if __name__ == "__main__":
    for page, text in PAGES.items():
        (DOCS / page).write_text(text(), encoding="utf-8")
