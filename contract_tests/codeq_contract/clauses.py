"""The register: every clause of the contract by its id, from `clauses.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

_REGISTER = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

CONTRACT: str = _REGISTER["contract"]

#: The titles of all clauses, in the contract's order.
CLAUSES: Mapping[str, str] = MappingProxyType(
    {
        clause: title
        for section in _REGISTER["sections"].values()
        for clause, title in section.items()
        if clause != "title"
    }
)

#: The titles of the sections, by the letter that their clauses begin with.
SECTIONS: Mapping[str, str] = MappingProxyType(
    {letter: section["title"] for letter, section in _REGISTER["sections"].items()}
)

#: The clauses that no case checks, with the reasons.
WITHOUT_CASE: Mapping[str, str] = MappingProxyType(_REGISTER["without_case"])

_ROUTES = tuple((re.compile(re.sub(r":\w+", "[^/]+", route)), text) for route, text in _REGISTER["routes"].items())


class RegisterError(Exception):
    """The cases do not fit the register. The text names the case."""


def check_case(case: str, groups: Sequence[str], clauses: Sequence[str]) -> None:
    """Check the groups and the clauses of a case. Raises RegisterError."""
    if len(groups) != 1:
        raise RegisterError(f"{case} is in {len(groups)} groups; it must be in one")
    if not clauses:
        raise RegisterError(f"{case} names no clause of the contract")
    for clause in clauses:
        if clause not in CLAUSES:
            raise RegisterError(f"{case} names {clause}, which the contract does not have")
        if clause in WITHOUT_CASE:
            raise RegisterError(f"{case} names {clause}, which is said to have no case: {WITHOUT_CASE[clause]}")
        if clauses.count(clause) > 1:
            raise RegisterError(f"{case} names {clause} twice")


def check_complete(clauses: Iterable[str]) -> None:
    """Check that these are all clauses that need a case. Raises RegisterError."""
    settled = {*clauses, *WITHOUT_CASE}
    missing = [clause for clause in CLAUSES if clause not in settled]
    if missing:
        raise RegisterError(f"no case names {', '.join(missing)}, and no reason is given why")


def clauses_of_call(method: str, path: str, status: int) -> str:
    """The clauses behind the recorded reply `status` to a request."""
    request, statuses = f"{method} {path.partition('?')[0]}", _REGISTER["statuses"]
    for pattern, clauses in _ROUTES:
        if pattern.fullmatch(request):
            return f"{clauses.split()[0]} {statuses[str(status)]}" if str(status) in statuses else clauses
    return "R18 R19"


def clauses_of_callback(body: str) -> str:
    """The clauses behind a request to a webhook: a queue-ready notice or a result callback."""
    return "U3-U9 W2" if '"notificationId"' in body else "W1-W4"
