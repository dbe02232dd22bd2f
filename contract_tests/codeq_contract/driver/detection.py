"""Detection: which version of the contract a server has, by three things that only the later one has, and its store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from codeq_contract.clauses import VERSIONS
from codeq_contract.recordings.times import SECOND
from codeq_contract.stores import EMBEDDED, fake_profile

from .interface import Driver
from .namespace import Namespace
from .requests import ADMIN, TASKS, Reply, Request
from .servers import NotRunError
from .time_bounds import TICK

_EARLIER, _LATER = VERSIONS
_UNKNOWN_PATH = b"404 page not found"
_GAUGE = b"codeq_queue_depth"

#: The store that is not known.
_ANY = "any"


@dataclass(frozen=True, slots=True)
class Finding:
    """The version of a server, its store if that is the embedded one, and what showed it, in words."""

    version: str
    signs: str
    store: str = ""


def of_its_version(driver: Driver, version: str, store: str) -> Driver:
    """The driver, to check this `version`, or the one that the server shows if none is chosen.

    Raises NotRunError if the server is neither, or contradicts the chosen `store`.
    """
    if version:
        return replace(driver.of_version(version), about={**driver.about, "contract": version})
    found = detect(driver)
    if found.store and store not in ("", _ANY, found.store):
        raise NotRunError(f"--profile: found {store}, but the server shows {found.store}: {found.signs}")
    contract = f"{fake_profile(found.version, found.store)}, as the server shows: {found.signs}"
    return replace(driver.of_version(found.version, found.store), about={**driver.about, "contract": contract})


def detect(driver: Driver) -> Finding:
    """Ask a server what it is. Creates one task, and ends it. Raises NotRunError if the answers do not fit together."""
    signs = dict(_signs(driver))
    found = ", ".join(f"{'' if is_there else 'no '}{sign}" for sign, is_there in signs.items())
    if len(set(signs.values())) > 1:
        raise NotRunError(
            f"the server is neither {_EARLIER} nor {_LATER}: found {found}; choose what it must be with --contract, "
            "or in a comparison what the fake imitates with --profile"
        )
    if all(signs.values()):
        store = _store(driver)
        return Finding(_LATER, f"{found}, no gauges of queues" if store else found, store)
    return Finding(_EARLIER, found)


def _store(driver: Driver) -> str:
    """The embedded store if the metrics lack the gauges of the others (P12). Empty if it is another, or unknown."""
    metrics = driver.call(Request("GET", "/metrics"))
    return EMBEDDED if metrics.status == HTTPStatus.OK and _GAUGE not in metrics.body else ""


def _signs(driver: Driver) -> Iterator[tuple[str, bool]]:
    """What only the later version has, each with whether the server has it (G1, G2, G3)."""
    yield "status of Raft", _has_route(driver.call(Request("GET", "/v1/codeq/raft/status", "worker")))
    yield "topics", _has_route(driver.call(Request("GET", f"{ADMIN}/topics/none", "producer")))
    yield "wait for results", _waits_for_results(driver)


def _has_route(reply: Reply) -> bool:
    return reply.body != _UNKNOWN_PATH


def _waits_for_results(driver: Driver) -> bool:
    command = Namespace().command()
    task = _post(driver, TASKS, "producer", f'{{"command":"{command}","payload":{{}}}}').json["id"]
    reply = driver.call(Request("GET", f"{TASKS}/{task}/result?waitSeconds=1", "producer"))
    claimed = _post(driver, f"{TASKS}/claim", "worker", f'{{"commands":["{command}"]}}')
    if claimed.status == HTTPStatus.OK:
        _post(driver, f"{TASKS}/{task}/result", "worker", '{"status":"COMPLETED","result":{}}')
    return reply.returned - reply.called >= SECOND - TICK


def _post(driver: Driver, path: str, name: str, body: str) -> Reply:
    return driver.call(Request("POST", path, name, body.encode()))
