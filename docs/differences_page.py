"""Makes the page docs/reference/differences.md: each clause of the contract, and whether the fake does the same."""

from __future__ import annotations

from codeq_fake.clause_coverage.coverage import SERVER, Clause, markdown, sections
from docs.tables import table

_DIFFERENCES = f"""\
# Differences from the real server

Clause by clause: what the contract says, and whether the fake does the same. The contract was recorded from a running
server {SERVER}. `GET /_fake/contract` shows the same list with what your traffic has touched. `python -m docs.generate`
writes this page from the code.

## Overview

{markdown()}
## HTTP itself

On a port, heads of requests are read as Go's server reads them: the same methods, targets, versions, hosts and headers
are refused, in the same words. What uvicorn and its parser httptools do in another way:

- Names of reply headers are in lower case, and their order is another one.
- `/metrics` has a `Content-Length`. Go's server sends it in chunks.
- A request that is refused before its body is read (401, 404) is answered at once. Go's server first reads up to
  256 KiB of the body, so it may answer later.
- A request that comes in the same packet as the one before it is read by httptools alone, which does not tell where the
  first one ends: there an unknown method is a 400, HTTP/1.0 is answered as HTTP/1.1, and what of a head only Go takes
  is a 400 too. The same goes for every request if a version of uvicorn lacks what the fake needs of its insides.
- A `417` has no `Date`, and is answered as HTTP/1.1 also to HTTP/1.0.
- `PRI * HTTP/2.0`, with which HTTP/2 begins, is an unknown path as on Go's server, but a 400 follows it.

## Every clause

*read*: part or all of the clause was not seen on a running server, but read in its source.
"""
_OURS = {"exact": "the same", "differs": "**differs**", "absent": "**absent**"}


def differences() -> str:
    """The page of all clauses."""
    parts = [_DIFFERENCES]
    for section in sections():
        parts += [f"### {section.about}", "", *table("", "", "the fake", "", rows=map(_clause, section.clauses)), ""]
    return "\n".join(parts)


def _clause(clause: Clause) -> tuple[str, ...]:
    read = " *read*" if clause.certainty == "source" else ""
    return f"**{clause.id}**", clause.says, f"{_OURS[clause.ours]}{read}", clause.note
