"""What recorded replies reveal of the server's chance: the ids that it made up, the delays that it drew."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeq_contract.recordings.format import Call, Header

_MADE_UP_ID = re.compile(r'"(?:id|subscriptionId)":"([^"]+)"')
#: A delay that somebody asked for (N3).
_DELAY = re.compile(r'"delaySeconds"\s*:\s*[1-9]', re.IGNORECASE)
_CREATING_PATHS = frozenset({"/v1/codeq/tasks", "/v1/codeq/tasks/batch", "/v1/codeq/workers/subscriptions"})
_PREDICTABLE_POLICIES = frozenset({"fixed", "linear", "exponential"})


@dataclass(slots=True)
class Draws:
    """Tells, call by call, what a fake must draw to answer as the recorded server did."""

    header: Header
    _known_ids: set[str] = field(default_factory=set)

    def ids(self, call: Call) -> list[str]:
        """The ids that appear for the first time in the reply to `call`, in their order."""
        if call.method != "POST" or call.path not in _CREATING_PATHS:
            return []
        ids = [made for made in dict.fromkeys(_MADE_UP_ID.findall(call.reply)) if made not in self._known_ids]
        self._known_ids.update(ids)
        return ids

    def delays(self, call: Call) -> list[int]:
        """The jittered backoff delay, in seconds, that the reply to `call` shows."""
        if self.header.settings.get("BACKOFF_POLICY") in _PREDICTABLE_POLICIES:
            return []
        if not call.path.endswith("/nack") or call.status != HTTPStatus.OK or _DELAY.search(call.body or ""):
            return []
        reply = json.loads(call.reply)
        return [reply["delaySeconds"]] if reply["status"] == "requeued" else []
