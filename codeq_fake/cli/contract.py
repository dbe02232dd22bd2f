"""`codeq-fake contract`: the clauses of the contract that were touched, and what changes between two profiles."""

from __future__ import annotations

from dataclasses import asdict

import click

from codeq_fake.payloads import DEFAULT_PROFILE

from .control_client import Fake, Shape, calls_fake
from .options import ProfileName
from .output import Answer, say
from .tables import Columns, Kind, show_table

_CLAUSE: Shape = {"id": str, "ours": str, "touched": int, "says": str}
_CLAUSE_COLUMNS: Columns = {"clause": Kind.STATE, "fake": Kind.STATE, "touched": Kind.NUMBER, "says": Kind.PROSE}


@click.command()
@click.option("--untouched", is_flag=True, help="Only the clauses that no request has touched.")
@click.option(
    "--from", "old", type=ProfileName(), metavar="PROFILE", help="What changes from this profile; calls no fake."
)
@click.option("--to", "new", type=ProfileName(), metavar="PROFILE", help="What changes up to this one.")
@calls_fake
def contract(fake: Fake, *, untouched: bool, old: str | None, new: str | None) -> Answer:
    """List the contract's clauses, or compare profiles.

    For each clause: whether the fake does the same, and how often its traffic touched it. With --from and --to,
    such as --from v0.3.3/kvrocks-2.8 --to main/redis: what changes for a user from one to the other.
    """
    if old or new:
        return _changes(old or DEFAULT_PROFILE, new or DEFAULT_PROFILE)
    reply = fake.get("/contract", {"clauses": [_CLAUSE]})
    if untouched:
        reply = {**reply, "clauses": [clause for clause in reply["clauses"] if not clause["touched"]]}
    rows = ((clause["id"], clause["ours"], clause["touched"] or None, clause["says"]) for clause in reply["clauses"])
    return Answer(reply, show_table(_CLAUSE_COLUMNS, rows, empty="every clause was touched"))


def _changes(old: str, new: str) -> Answer:
    """What changes between two profiles, in words."""
    from codeq_fake.clause_coverage.coverage import changes, version_and_store  # noqa: PLC0415 - others need no clauses

    (old_version, old_store), (new_version, new_store) = pair = version_and_store(old), version_and_store(new)
    before, after = f"{old_version}/{old_store}", f"{new_version}/{new_store}"
    width = max(len(before), len(after)) + 1
    found = list(changes(*pair))
    lines: list[str] = []
    for change in found:
        amended = f" (changes {', '.join(change.amends)})" if change.amends else ""
        lines += [f"{change.clause}{amended}"]
        lines += [f"  {before + ':':{width}} {change.before}", f"  {after + ':':{width}} {change.after}"]
    reply = {"from": before, "to": after, "changes": [asdict(change) for change in found]}
    return Answer(reply, say(*lines) if lines else say(f"nothing changes from {before} to {after}"))
