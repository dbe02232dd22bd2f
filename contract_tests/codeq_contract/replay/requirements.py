"""What a recording needs of a server on which it is replayed in real time, and what a server lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from http import HTTPStatus

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, Driver, KnownSettings, Setup
from codeq_contract.driver.server_settings import VARIABLES
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Call, Recording
from codeq_contract.recordings.times import SECOND, parse_moment

from .recorded_values import RecordedValues, credentials
from .translation import BUILT_IN

#: A recording that takes longer may have waited for something.
_LONGEST_BURST = SECOND

#: The end of a lease in a task, and the seconds of a heartbeat.
_LEASE_END = re.compile(r'"leaseUntil":"([^"]+)"')
_EXTENSION = re.compile(r'"extendSeconds"\s*:\s*([1-9]\d*)', re.IGNORECASE)

_HASH_MODE = re.compile(r'"deliveryMode"\s*:\s*"hash"')

#: The replies on these paths count what is on the whole server.
_OVERVIEWS = frozenset({"/metrics", f"{ADMIN}/queues"})

#: The features that a deployment may lack, with how a call that needs one looks: its path and its body.
_FEATURES = {
    "batch": re.compile(r"/batch\b"),
    "subscriptions": re.compile(re.escape(SUBSCRIPTIONS)),
    "artifacts": re.compile(r'"artifacts"'),
    "long_poll": re.compile(r'"waitSeconds"', re.IGNORECASE),
    "metrics": re.compile(r"^/metrics\b"),
    "webhooks": re.compile(re.escape(WEBHOOK_ORIGIN)),
}

#: The settings that a deployment's own values stand for; they are compared as far as a recording depends on them.
_BACKOFF = ("max_attempts", "backoff_policy", "backoff_base", "backoff_max")
_CALLBACKS = ("callback_attempts", "callback_base", "callback_max")


class Requirements:
    """The requirements of one recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._texts = [f"{call.path} {call.body or ''}" for call in recording.calls]

    @property
    def waits(self) -> bool:
        """Whether the recording waits for something, so that a late request may change the answer."""
        return self._recording.end - self._recording.header.epoch > _LONGEST_BURST

    @cached_property
    def needs_own_server(self) -> bool:
        """Whether it sees what others do on the same server, or depends on how its tenants are written.

        Static tokens name tenants, and the claim `tid` is only in tokens that show which form a tenant has (G4).
        """
        header = self._recording.header
        writes_tenants = header.static is not None or any("tid" in each.claims for each in header.identities.values())
        return writes_tenants or any(map(_sees_all, self._recording.calls))

    @property
    def setup(self) -> Setup:
        """The set-up of the recorded server."""
        header = self._recording.header
        static = credentials(header, None).settings if header.static is not None else {}
        return Setup({**header.settings, **static}, header.yaml or "")

    def lacks(self, driver: Driver) -> Iterator[str]:
        """What keeps the recording from being replayed on this server, or on another that it can start."""
        yield from self._chances()
        for feature, look in _FEATURES.items():
            if feature not in driver.features and any(map(look.search, self._texts)):
                yield f"it needs {feature}"
        if "clean_up" not in driver.features and any(map(_cleans_up, self._recording.calls)):
            yield "it needs clean_up"
        if self.needs_own_server and not {"variants", "own_store"} <= driver.features:
            yield "it needs a server that nothing else uses"
        if "variants" not in driver.features:
            yield from self._differing_settings(driver)

    def _chances(self) -> Iterator[str]:
        """What the server draws, so that a recording shows one of many right answers."""
        values = RecordedValues(self._recording.header)
        if any(map(values.delays, self._recording.calls)):
            yield "its delays were drawn (N6)"
        if self._recording.callbacks and any(map(_HASH_MODE.search, self._texts)):
            yield "its notices depend on the minute (U6)"
        if self._recording.header.reaper is not None and self._ends_a_lease:
            yield "its leases end when the reaper looks, which each server does at other moments (P1)"

    @property
    def _ends_a_lease(self) -> bool:
        """Whether a lease ends before the recording does."""
        ends = [parse_moment(end) for call in self._recording.calls for end in _LEASE_END.findall(call.reply)]
        for call in self._recording.calls:
            ends += [call.sent + int(seconds) * SECOND for seconds in _EXTENSION.findall(call.body or "")]
        return any(end <= self._recording.end for end in ends)

    def _differing_settings(self, driver: Driver) -> Iterator[str]:
        """The settings of a deployment that are unknown or others, as far as they matter."""
        header = self._recording.header
        theirs, ours = asdict(KnownSettings.of(header.settings)), asdict(driver.settings)
        others = header.settings.keys() - VARIABLES
        if others or header.yaml:
            yield f"it needs other settings: {', '.join(sorted(others)) or 'a YAML file'}"
        if any(name in text.lower() for text in self._texts for name in BUILT_IN):
            yield "it uses the built-in commands, whose tasks may be of others"
        has_callbacks = any(WEBHOOK_ORIGIN in text for text in self._texts)
        has_delays = self.waits or any(call.path.endswith("/nack") for call in self._recording.calls)
        for name in (*(_BACKOFF if has_delays else ()), *(_CALLBACKS if has_callbacks else ())):
            if "known_settings" not in driver.features:
                yield f"it depends on {name}, which is unknown; `settings` in a --config file give it"
                return
            if theirs[name] != ours[name]:
                yield f"it was recorded with {name} {theirs[name]}"


def _sees_all(call: Call) -> bool:
    """Whether a call sees or deletes what others have made."""
    body = (call.body or "").lower()
    sees_built_in = call.path == SUBSCRIPTIONS and ("eventtypes" not in body or any(name in body for name in BUILT_IN))
    deletes = _cleans_up(call) and '"deleted":0' not in call.reply
    return call.status == HTTPStatus.OK and (call.path in _OVERVIEWS or deletes or sees_built_in)


def _cleans_up(call: Call) -> bool:
    return call.status == HTTPStatus.OK and call.path == f"{ADMIN}/tasks/cleanup"
