"""When the reaper of a recorded server ticked (P1): its effects tell it better than the header of the recording."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from codeq_contract.recordings.format import Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND, parse_moment

INTERVAL = 2 * SECOND

#: A task that the reaper may have given back, and when.
_GIVEN_BACK = re.compile(r'"lastKnownLocation":"(?:DELAYED_ZSET|DLQ_SET)"[^}]*?"updatedAt":"([^"]+)"')
#: How much longer than its call a change may seem to take, since two clocks were read.
_LEEWAY = 20 * MILLISECOND


def reaper_phase(recording: Recording) -> Mapping[str, float]:
    """The argument `reaper_phase` of a fake for this recording: seconds since 1970, less whole intervals.

    Empty for a server without a reaper.
    """
    header = recording.header
    if header.reaper is None:
        return {}
    tick = next(_changes_without_call(recording), header.epoch + header.reaper)
    return {"reaper_phase": tick % INTERVAL / SECOND}


def _changes_without_call(recording: Recording) -> Iterator[int]:
    """The moments at which tasks were given back while no call was under way that could have done it."""
    posted = [(call.sent - _LEEWAY, call.answered + _LEEWAY) for call in recording.calls if call.method == "POST"]
    for call in recording.calls:
        for updated in _GIVEN_BACK.findall(call.reply):
            moment = parse_moment(updated)
            if not any(start <= moment <= end for start, end in posted):
                yield moment
