"""The random values of a server that recorded replies show: the ids it made, and the delays it drew."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus

from codeq_contract.driver.requests import SUBSCRIPTIONS, TASKS
from codeq_contract.recordings.format import Call, Header

_NEW_ID = re.compile(r'"(?:id|subscriptionId)":"([^"]+)"')
#: A delay in the request, so that the server drew none (N3).
_DELAY = re.compile(r'"delaySeconds"\s*:\s*[1-9]', re.IGNORECASE)
_CREATING_PATHS = frozenset({TASKS, f"{TASKS}/batch", SUBSCRIPTIONS})
_PREDICTABLE_POLICIES = frozenset({"fixed", "linear", "exponential"})


@dataclass(slots=True)
class RecordedValues:
    """Finds, call by call, the values that a fake needs to answer as the recorded server did."""

    header: Header
    _known_ids: set[str] = field(default_factory=set)

    def ids(self, call: Call) -> list[str]:
        """The ids that appear first in the reply to `call`, in their order."""
        if call.method != "POST" or call.path not in _CREATING_PATHS:
            return []
        ids = [found for found in dict.fromkeys(_NEW_ID.findall(call.reply)) if found not in self._known_ids]
        self._known_ids.update(ids)
        return ids

    def delays(self, call: Call) -> list[int]:
        """The jittered backoff delay in seconds in the reply to `call`."""
        if self.header.settings.get("BACKOFF_POLICY") in _PREDICTABLE_POLICIES:
            return []
        if not call.path.endswith("/nack") or call.status != HTTPStatus.OK or _DELAY.search(call.body or ""):
            return []
        reply = json.loads(call.reply)
        return [reply["delaySeconds"]] if reply["status"] == "requeued" else []
