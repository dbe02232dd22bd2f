"""Preflight: before any case each caller does its part of one task, so that a wrong set-up is told in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from codeq_contract.recordings.times import SECOND, moment_text, parse_moment

from .connections import connect
from .identities import claims_in
from .interface import Driver
from .namespace import Namespace
from .requests import ADMIN, SUBSCRIPTIONS, TASKS, Reply, Request
from .servers import NotRunError
from .time_bounds import SERVER_SKEW
from .webhooks import KEYS_PATH

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MISSING_SCOPE = "missing scope"

#: Seconds that a server gets for its first answer. It is far from slow then.
PATIENCE = 2.0

#: Not JSON: a caller with the right token is told so (B3), and nothing happens.
_NO_BODY = b"{"

#: The routes of a worker that need a separate scope, except the claim (A5).
_SCOPES: Mapping[str, str] = {
    "codeq:heartbeat": f"{TASKS}/none/heartbeat",
    "codeq:abandon": f"{TASKS}/none/abandon",
    "codeq:nack": f"{TASKS}/none/nack",
    "codeq:result": f"{TASKS}/none/result",
}
_SUBSCRIBE = "codeq:subscribe"


def check_answer(url: str, *, shown: str) -> None:
    """Raises NotRunError if nothing answers at the URL, which messages show as `shown`."""
    try:
        with connect(url, timeout=PATIENCE) as http:
            http.get("/metrics")
    except httpx.TimeoutException:
        raise NotRunError(f"{shown}: no server answers within {PATIENCE:g} s; check --url") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotRunError(f"{shown}: no server answers: {type(error).__name__}: {error}; check --url") from None


def check_access(server: str, driver: Driver) -> None:
    """Raises NotRunError if the server is none, or refuses a token. Changes nothing."""
    problems = "; ".join(_access_problems(driver))
    if problems:
        raise NotRunError(f"{server}: {problems}")


def _access_problems(driver: Driver) -> Iterator[str]:
    """What keeps the callers from using the server, one sentence each."""
    metrics = driver.call(Request("GET", "/metrics"))
    if not metrics.status:
        yield f"no server answers: {metrics.problem}"
        return
    for name in driver.tokens:
        # A server of our own may limit requests (L1), and its case counts them. Reads are never limited.
        is_ours = driver.issuer is not None
        request = Request("GET", f"{TASKS}/none", name) if is_ours else _harmless_request(name)
        reply = driver.call(request)
        if not is_ours and not _is_of_codeq(reply):
            answer = f"{request.method} {request.path} answers {reply.status} {reply.text.strip()[:80]!r}"
            yield f"this is no CodeQ server: {answer}; --url is the part of its addresses before /v1"
            return
        if reply.status in _REFUSED:
            yield f"the token of {name} is refused: {reply.status} {reply.text.strip()}{_why(driver, name, reply)}"


def _harmless_request(name: str) -> Request:
    """A request that only this kind of caller may make, and that changes nothing."""
    if name == "admin":
        return Request("GET", f"{ADMIN}/queues", name)
    return Request("POST", TASKS if "producer" in name else f"{TASKS}/claim", name, _NO_BODY)


def _is_of_codeq(reply: Reply) -> bool:
    """Whether a reply may be CodeQ's: JSON, and not one of a path that it does not have."""
    try:
        is_json = isinstance(reply.json, dict | list)
    except ValueError:
        return False
    return is_json and reply.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def _why(driver: Driver, name: str, reply: Reply) -> str:
    """The cause of a refusal as far as the token tells it, and the remedy."""
    if driver.issuer is not None and driver.in_real_time and not driver.hooks.received(KEYS_PATH):
        return f" (the server has not fetched the keys from {driver.hooks_origin}{KEYS_PATH}; can it reach that?)"
    claims, now = claims_in(driver.tokens[name]) or {}, driver.clock.now() // SECOND
    expiry, start = (_seconds(claims, claim) for claim in ("exp", "nbf"))
    if expiry is not None and expiry < now:
        return f" (it expired at {moment_text(expiry * SECOND)}; pass a new one)"
    if start is not None and start > now:
        return f" (it is not valid before {moment_text(start * SECOND)}; this machine's clock may be behind)"
    if _MISSING_SCOPE in reply.text:
        return f" (its scopes are {claims.get('scope', 'unknown')!r}; a worker needs {_all_scopes()})"
    if claims:
        audience, issuer = claims.get("aud"), claims.get("iss")
        return f" (the server must know its issuer {issuer!r}, its audience {audience!r} and its key)"
    return " (pass a token that this server accepts)"


def _all_scopes() -> str:
    return ", ".join(("codeq:claim", *_SCOPES, _SUBSCRIBE))


def check_deployment(driver: Driver) -> None:
    """As `check_callers`, unless the suite has set up the server.

    What it has set up itself is right; where that fails, the server is at fault, as cases show.
    """
    if driver.start_other is None:
        check_callers(driver.about["url"], driver)


def check_callers(server: str, driver: Driver) -> None:
    """Create, claim and complete a task with each token. Raises NotRunError if that does not work."""
    preflight = _Preflight(driver)
    problems = "; ".join(preflight.problems())
    if problems:
        raise NotRunError(f"{server}: {problems}")


@dataclass(frozen=True, slots=True)
class _Preflight:
    """One task for each pair of a producer and a worker."""

    driver: Driver
    names: Namespace = field(default_factory=Namespace)

    def problems(self) -> Iterator[str]:
        """What does not work, one sentence each. After a missing scope or a failed task no further caller is tried."""
        for worker in (name for name in self.driver.tokens if "worker" in name):
            missing = [scope for scope in self._scopes() if self._lacks(worker, scope)]
            if missing:
                yield f"the token of {worker} lacks {', '.join(missing)}; a worker needs {_all_scopes()}"
                return
        tenants: dict[str, str] = {}
        for producer, worker in self._pairs():
            problem = self._try_task(producer, worker, tenants)
            if problem:
                yield problem
                return
        ours, theirs = tenants.get("producer"), tenants.get("other_producer")
        if ours is not None and ours == theirs:
            yield f"producer and other_producer are of one tenant, {ours!r}; the second must be of another"

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Each producer and each worker at least once, with one of its tenant."""
        for producer in ("producer", "producer2"):
            if producer in self.driver.tokens:
                yield producer, "worker"
        for worker in ("worker2", "worker3"):
            if worker in self.driver.tokens:
                yield "producer", worker
        if {"other_producer", "other_worker"} <= self.driver.tokens.keys():
            yield "other_producer", "other_worker"

    def _scopes(self) -> Mapping[str, str]:
        has_subscriptions = "subscriptions" in self.driver.features
        return {**_SCOPES, **({_SUBSCRIBE: SUBSCRIPTIONS} if has_subscriptions else {})}

    def _lacks(self, worker: str, scope: str) -> bool:
        reply = self.driver.call(Request("POST", self._scopes()[scope], worker, _NO_BODY))
        return reply.status == HTTPStatus.FORBIDDEN and _MISSING_SCOPE in reply.text

    def _try_task(self, producer: str, worker: str, tenants: dict[str, str]) -> str:
        """Create, claim and complete a task, and note its tenant in `tenants`. Returns what does not work."""
        command = self.names.command()
        created = self._post(TASKS, producer, {"command": command, "payload": {}})
        if created.status != HTTPStatus.ACCEPTED:
            return f"{producer} cannot create a task: {_answer(created)}"
        task = created.json
        tenants[producer] = task.get("tenantId", "")
        skew = _skew(created)
        if abs(skew) > SERVER_SKEW:
            where = "ahead of" if skew > 0 else "behind"
            return f"the server's clock is {abs(skew) // SECOND} s {where} this machine's; set both by NTP"
        claimed = self._post(f"{TASKS}/claim", worker, {"commands": [command]})
        if claimed.status == HTTPStatus.NO_CONTENT:
            return self._why_nothing(producer, worker, task)
        if claimed.status != HTTPStatus.OK:
            remedy = "; its claim eventTypes must have '*'" if claimed.status == HTTPStatus.FORBIDDEN else ""
            return f"{worker} cannot claim a task: {_answer(claimed)}{remedy}"
        ended = self._post(f"{TASKS}/{task['id']}/result", worker, {"status": "COMPLETED", "result": {}})
        if ended.status != HTTPStatus.OK:
            return f"{worker} cannot complete the task that it claimed: {_answer(ended)}; does someone else claim it?"
        return ""

    def _why_nothing(self, producer: str, worker: str, task: Mapping[str, Any]) -> str:
        """Why a worker does not find a task."""
        read = self.driver.call(Request("GET", f"{TASKS}/{task['id']}", producer))
        holder = read.json.get("workerId") if read.status == HTTPStatus.OK else None
        if holder or (read.status == HTTPStatus.OK and read.json["status"] != "PENDING"):
            taken = f"someone else, {holder or 'a worker'}, took the task of {producer} before {worker}"
            return f"{taken}; stop the workers that claim all commands"
        tenant = (claims_in(self.driver.tokens[worker]) or {}).get("tenantId")
        finder = worker if tenant is None else f"{worker}, of tenant {tenant!r},"
        remedy = "both tokens must have the same claim tenantId, static ones in `raw` of the server's settings"
        return f"{finder} finds no task of {producer}, of tenant {task.get('tenantId')!r}; {remedy}"

    def _post(self, path: str, name: str, body: object) -> Reply:
        return self.driver.call(Request("POST", path, name, json.dumps(body).encode()))


def _answer(reply: Reply) -> str:
    return f"{reply.status} {reply.text.strip()[:200]}" if reply.status else reply.problem


def _skew(created: Reply) -> int:
    """By how many nanoseconds the server's clock is certainly ahead of this machine's."""
    moment = parse_moment(created.json["createdAt"])
    return max(0, moment - created.returned) - max(0, created.called - moment)


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    return int(value) if isinstance(value, int | float) else None
