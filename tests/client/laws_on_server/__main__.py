"""Entry point of the laws on a server: prints a line for each run, and the broken laws. Exit code 1: one is broken."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.client.laws_on_server.machine import NotStartedError
from tests.client.laws_on_server.run import Plan, run

_ENGINES = ("aiohttp", "httpx")
_LEASES = (20, 5)


def main(arguments: list[str] | None = None) -> int:
    """Run the laws with both engines, and with leases that are longer and shorter than a standstill of the server."""
    parser = argparse.ArgumentParser(prog="python -m tests.client.laws_on_server", description=main.__doc__)
    parser.add_argument("--server", type=Path, required=True, help="a build of CodeQ's server")
    parser.add_argument("--store", default="redis-server", help="the program of its store (default: redis-server)")
    parser.add_argument("--tasks", type=int, default=500, help="how many tasks a run has (default: 500)")
    parser.add_argument("--engine", choices=_ENGINES, action="append", help="only this engine")
    options = parser.parse_args(arguments)
    broken = False
    for engine in options.engine or _ENGINES:
        for lease in _LEASES:
            plan = Plan(options.server, options.store, engine, lease, options.tasks)
            try:
                outcome = run(plan)
            except NotStartedError as error:
                print(f"PROBLEM: {error}")
                return 1
            left = ", ".join(f"{count} {how}" for how, count in sorted(outcome.left.items()))
            print(f"{engine}, leases of {lease} s, {options.tasks} tasks in {outcome.seconds:.0f} s: {left}")
            print(f"  {outcome.returned} tasks came back after their end", flush=True)
            for problem in outcome.problems:
                print(f"PROBLEM: {problem}", flush=True)
            broken = broken or bool(outcome.problems)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
