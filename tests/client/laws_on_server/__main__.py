"""Entry point of the laws on a server: prints a line for each run, and the broken laws. Exit code 1: one is broken."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.client.laws_on_server.machine import NotStartedError
from tests.client.laws_on_server.run import Outcome, Plan, run

_ENGINES = ("aiohttp", "httpx")
_LEASES = (20, 5)
_FAULTS = ("fence", "refusal")


def main(arguments: list[str] | None = None) -> int:
    """Run the laws with both engines, and with leases that are longer and shorter than a standstill of the server."""
    parser = argparse.ArgumentParser(prog="python -m tests.client.laws_on_server", description=main.__doc__)
    parser.add_argument("--server", type=Path, required=True, help="a build of CodeQ's server")
    parser.add_argument("--store", default="redis-server", help="the program of its store (default: redis-server)")
    parser.add_argument("--tasks", type=int, default=500, help="how many tasks a run has (default: 500)")
    parser.add_argument("--engine", choices=_ENGINES, action="append", help="only this engine")
    parser.add_argument("--lease", type=int, choices=_LEASES, action="append", help="only leases of so many seconds")
    parser.add_argument("--fault", choices=_FAULTS, default="", help="a fault of the client, which a law must find")
    options = parser.parse_args(arguments)
    broken = False
    for engine in options.engine or _ENGINES:
        for lease in options.lease or _LEASES:
            plan = Plan(options.server, options.store, engine, lease, options.tasks, options.fault)
            folder = Path(tempfile.mkdtemp(prefix="client-laws-"))
            try:
                outcome = run(plan, folder)
            except NotStartedError as error:
                print(f"PROBLEM: {error}")
                return 1
            _report(plan, outcome, folder)
            broken = broken or bool(outcome.problems)
    return 1 if broken else 0


def _report(plan: Plan, outcome: Outcome, folder: Path) -> None:
    """Print what was seen in a run, and keep its logs where the server or a law raises questions."""
    left = ", ".join(f"{count} {how}" for how, count in sorted(outcome.left.items()))
    print(f"{plan.engine}, leases of {plan.lease} s, {plan.tasks} tasks in {outcome.seconds:.0f} s: {left}")
    races = {"came back after their end (Z1)": outcome.returned, "were lost by the server (Z2)": outcome.lost}
    races["lost a lease that ran (Z3)"] = outcome.revoked
    print("  " + ", ".join(f"{count} {what}" for what, count in races.items()))
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")
    if outcome.problems or any(races.values()):
        print(f"  logs of the workers, and history of the store: {folder}", flush=True)
    else:
        shutil.rmtree(folder)


if __name__ == "__main__":
    raise SystemExit(main())
