"""Entry point of the soak: prints its figures and the problems, and exits with 1 if there are any."""

from __future__ import annotations

import argparse
import asyncio

from tests.soak.soak import soak


def main() -> int:
    """Run the soak as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak a fake with hostile clients.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long it takes (default: 1)")
    parser.add_argument("--seed", type=int, default=None, help="makes what the hostile clients send repeatable")
    arguments = parser.parse_args()
    report = asyncio.run(soak(arguments.minutes * 60, seed=arguments.seed))
    print("\n".join(report.figures()))
    problems = report.problems()
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
