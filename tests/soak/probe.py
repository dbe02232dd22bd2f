"""Probes of one server, from a separate process: `python -m tests.soak.probe HOST PORT PID`. Ends with its input.

A probe tells how long an answer took, and how much of that the server and the probe were ready to run while other
programs had the processors. A busy machine is no fault of the server. `verdict` says what is too long.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

#: How often a probe asks (s).
_INTERVAL = 0.1
#: How long it waits for an answer (s): long, because a busy machine alone is no problem.
_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. Times are in seconds."""

    elapsed: float
    waited: float = 0.0
    problem: str = ""

    @property
    def answered_after(self) -> float:
        """The time for which the server is to blame."""
        return max(0.0, self.elapsed - self.waited)


def probe(host: str, port: int, pid: int) -> Probe:
    """Ask the server of process `pid` once how it is."""
    waited, began = _waiting_time(pid) + _waiting_time(os.getpid()), time.perf_counter()
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    problem = ""
    try:
        connection.request("GET", "/_fake/health")
        reply = connection.getresponse()
        if reply.status != http.client.OK or json.loads(reply.read())["status"] != "ok":
            problem = f"probe: {reply.status}"
    except TimeoutError:
        pass  # if the server is to blame, the figures say so
    except (OSError, http.client.HTTPException) as error:
        problem = f"probe: {type(error).__name__}: {error}"
    finally:
        connection.close()
    elapsed = time.perf_counter() - began
    return Probe(elapsed, _waiting_time(pid) + _waiting_time(os.getpid()) - waited, problem)


def _waiting_time(pid: int) -> float:
    """Seconds that a process's main thread was ready to run, but did not. 0 if the system does not count them."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def main(host: str, port: str, pid: str) -> None:
    """Probe until the input ends, and print each probe as JSON."""
    while not select.select([sys.stdin], [], [], _INTERVAL)[0]:
        print(json.dumps(asdict(probe(host, int(port), int(pid)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
