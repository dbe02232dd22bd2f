"""Compares the fake's requests to the webhook with the recorded ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from codeq_contract.clauses import clauses_of_callback
from codeq_contract.driver.webhooks import Received
from codeq_contract.recordings.format import SECRET_SETTING, Callback, Recording, signature, text_of
from codeq_contract.recordings.times import SECOND, moment_text

from .allowed_differences import LATENCY, AllowedDifferences, Window, masked
from .comparison import Difference, json_mismatches
from .mismatches import ABSENT, Mismatch

_HEADERS = ("content-type", "x-codeq-signature", "x-codeq-timestamp", "traceparent")


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A request in the recording's names and times, as it was received, and the body that its signature covers.

    A redirect followed as a GET has no body. Its signature is that of a request before.
    """

    request: Received
    received: Received
    signed_body: bytes


def compare_callbacks(
    recording: Recording,
    received: Sequence[Received],
    allowed: AllowedDifferences,
    translated: Callable[[Received], Received] = lambda request: request,
) -> list[Difference]:
    """All differences between `received` and the recorded callbacks: path by path, each in its order.

    `translated` gives a received request in the recording's names and times.
    """
    secret = recording.header.settings.get(SECRET_SETTING, "")
    theirs_by_path: defaultdict[str, list[tuple[int, Callback]]] = defaultdict(list)
    for number, callback in enumerate(recording.callbacks, start=1):
        theirs_by_path[callback.path].append((number, callback))
    deliveries = _deliveries(received, translated)
    ours_by_path = _by_path(deliveries)
    differences: list[Difference] = []
    for path in sorted({*theirs_by_path, *ours_by_path}):
        recorded = [theirs for _, theirs in theirs_by_path[path]]
        ours_by_path[path] = _in_recorded_order(ours_by_path[path], recorded, allowed)
        for numbered, delivery in zip_longest(theirs_by_path[path], ours_by_path[path]):
            if numbered is not None:
                number, theirs = numbered
                differences.extend(_compare(number, theirs, delivery, secret, allowed))
            elif delivery.request.at < recording.end - LATENCY - allowed.lateness:
                differences.append(_unrecorded(delivery.request))
    return differences + _order_of_notices(recording.callbacks, [delivery.request for delivery in deliveries])


def _deliveries(received: Sequence[Received], translated: Callable[[Received], Received]) -> list[_Delivery]:
    """The requests to the webhook, each with the body that its signature is of: a redirect may drop the body."""
    deliveries: list[_Delivery] = []
    signed_bodies: dict[str, bytes] = {}
    signed_body = b""
    for request in received:
        given = request.headers.get("x-codeq-signature", "")
        signed_body = signed_bodies[given] = request.body or signed_bodies.get(given, signed_body)
        deliveries.append(_Delivery(translated(request), request, signed_body))
    return deliveries


def _by_path(deliveries: Sequence[_Delivery]) -> defaultdict[str, list[_Delivery]]:
    by_path: defaultdict[str, list[_Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_path[delivery.request.path].append(delivery)
    return by_path


def _in_recorded_order(
    ours: Sequence[_Delivery], theirs: Sequence[Callback], allowed: AllowedDifferences
) -> list[_Delivery]:
    """Our deliveries; those of one moment, which have no order, as the recorded ones came."""
    waiting, ordered = list(ours), list[_Delivery]()
    for callback in theirs:
        same_moment = [
            delivery for delivery in waiting if delivery.request.at <= waiting[0].request.at + allowed.callbacks_late
        ]
        alike = (
            candidate
            for candidate in same_moment
            if _characters(text_of(candidate.request.body)) == _characters(callback.body)
        )
        if waiting:
            ours_next = next(alike, waiting[0])
            waiting.remove(ours_next)
            ordered.append(ours_next)
    return ordered + waiting


def _characters(body: str) -> list[str]:
    """What two bodies have in common that differ only in the order of their keys, and in what may differ."""
    return sorted(masked(body))


def _compare(
    number: int, theirs: Callback, delivery: _Delivery | None, secret: str, allowed: AllowedDifferences
) -> Iterator[Difference]:
    """The differences of one callback. Without a delivery, the callback itself is missing."""
    request = f"{theirs.method} {theirs.path}"
    if delivery is None:
        mismatches = [("request", f"at {moment_text(theirs.at)}: {theirs.body}", ABSENT)]
    else:
        mismatches = [
            *_request_mismatches(theirs, delivery.request, allowed),
            *_header_mismatches(theirs, delivery, secret, allowed),
            *_body_mismatches(theirs, delivery.request, allowed),
        ]
    clauses = clauses_of_callback(theirs.body)
    for mismatch in mismatches:
        yield Difference(f"callback {number}", request, clauses, *mismatch)


def _request_mismatches(theirs: Callback, ours: Received, allowed: AllowedDifferences) -> Iterator[Mismatch]:
    if theirs.method != ours.method:
        yield ("method", theirs.method, ours.method)
    most = LATENCY + allowed.lateness
    if not -most - allowed.callbacks_early <= ours.at - theirs.at <= most + allowed.callbacks_late:
        yield ("time", moment_text(theirs.at), moment_text(ours.at))


def _header_mismatches(
    theirs: Callback, delivery: _Delivery, secret: str, allowed: AllowedDifferences
) -> Iterator[Mismatch]:
    ours = delivery.request.headers
    is_redirected = delivery.request.method == "GET"
    for name in _HEADERS:
        their_value, our_value = theirs.headers.get(name, ABSENT), ours.get(name, ABSENT)
        if not allowed.allows_header(name, their_value, our_value, is_redirected=is_redirected):
            yield (f"header {name}", their_value, our_value)
    if "x-codeq-timestamp" in ours and "x-codeq-signature" in ours:
        yield from _signature_mismatches(delivery.received, delivery.signed_body, secret, allowed)


def _signature_mismatches(
    received: Received, signed_body: bytes, secret: str, allowed: AllowedDifferences
) -> Iterator[Mismatch]:
    """Where the time and the signature of a callback are not those of its body and its moment (W2)."""
    timestamp, given = received.headers["x-codeq-timestamp"], received.headers["x-codeq-signature"]
    late = allowed.lateness + allowed.callbacks_late
    earliest, latest = (received.at - late) // SECOND, received.at // SECOND
    if timestamp not in map(str, range(earliest, latest + 1)):
        yield ("header x-codeq-timestamp", f"{latest}, when it was sent", timestamp)
    right = signature(secret, timestamp, signed_body)
    if given != right:
        yield ("header x-codeq-signature", f"{right}, which fits the body", given)


def _body_mismatches(theirs: Callback, ours: Received, allowed: AllowedDifferences) -> Iterator[Mismatch]:
    """The order of keys is free at every depth. So the values must match, and the characters in any order."""
    our_body = text_of(ours.body)
    window = Window(theirs.at - LATENCY, theirs.at)
    mismatches = json_mismatches(theirs.body, our_body, allowed, window)
    yield from mismatches
    if not mismatches and _characters(theirs.body) != _characters(our_body):
        yield ("body", theirs.body, our_body)


def _unrecorded(ours: Received) -> Difference:
    body = text_of(ours.body)
    what = f"at {moment_text(ours.at)}: {body}"
    return Difference("no callback", f"{ours.method} {ours.path}", clauses_of_callback(body), "request", ABSENT, what)


def _order_of_notices(recorded: Sequence[Callback], received: Sequence[Received]) -> list[Difference]:
    """Compare the common order of all notices: a create sends them one after another (U4), unlike callbacks."""
    theirs = [callback.path for callback in recorded if '"notificationId"' in callback.body]
    ours = [request.path for request in received if b'"notificationId"' in request.body]
    if theirs == ours or sorted(theirs) != sorted(ours):
        return []
    return [Difference("callbacks", "POST", "U4 U6", "order of the notices", ", ".join(theirs), ", ".join(ours))]
