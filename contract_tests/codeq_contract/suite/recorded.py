"""Replays recordings of the real server on the target of a case: on its clock if it has one, else in real time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import BoundedSemaphore

from codeq_contract.driver import UnsupportedError
from codeq_contract.driver.time_bounds import LATENESS
from codeq_contract.recordings.format import Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.replay.callers import callers_of
from codeq_contract.replay.comparison import Difference
from codeq_contract.replay.player import replay_early_or_late
from codeq_contract.replay.real_time import RealTimeSession
from codeq_contract.replay.requirements import Requirements
from codeq_contract.replay.servers import InProcessTarget
from codeq_contract.report.results import InconclusiveError
from codeq_contract.stores import rules_of

from .case_context import CaseContext

#: By how much a session that waits may be late (ns). Recordings are that clear of the moments that change an answer:
#: in one of them a claim comes 45 ms after the end of a lease.
_LATE = 40 * MILLISECOND

#: Recordings that do not wait keep the machine busy. Few at once do not make the others late.
_BURSTS = BoundedSemaphore(2)


def differences(contract: CaseContext, recording: Recording) -> Sequence[Difference]:
    """How the answers of the target differ from those of the recorded server.

    Raises UnsupportedError if the target cannot show it, and InconclusiveError if that may come of our own lateness.
    """
    issuer = contract.driver.issuer
    if not contract.driver.in_real_time:
        return replay_early_or_late(recording, InProcessTarget(), signer=None if issuer is None else issuer.signer)
    requirements = Requirements(recording)
    lacks = [*requirements.lacks(contract.driver)]
    if lacks:
        raise UnsupportedError("; ".join(lacks))
    with nullcontext() if requirements.waits else _BURSTS, _server(contract, requirements) as server:
        return _replay(server, recording, requirements)


@contextmanager
def _server(contract: CaseContext, requirements: Requirements) -> Iterator[CaseContext]:
    """The context on a server that is set up as the recorded one was."""
    if requirements.needs_own_server:
        with contract.other_server(requirements.setup) as server:
            yield server
    elif "variants" in contract.driver.features:
        yield contract.on_shared_server(requirements.setup)
    else:
        yield contract


def _replay(contract: CaseContext, recording: Recording, requirements: Requirements) -> Sequence[Difference]:
    """As `differences`, on a server that is set up for the recording."""
    prefix = "" if requirements.needs_own_server else f"{contract.names.prefix}-"
    callers = callers_of(recording, contract.driver, prefix)
    contract = replace(contract, driver=replace(contract.driver, tokens=callers.tokens))
    session = RealTimeSession(recording, contract.driver, contract.call, prefix, callers.subjects)
    differences = session.play()
    # Even a burst may depend on the interval between two repairs (Q1).
    is_timed = requirements.waits or rules_of(recording.header.profile).repair_interval
    if differences and session.lateness > (_LATE if is_timed else LATENESS):
        raise InconclusiveError(f"{session.lateness / SECOND:.2f} s late, and then: {differences[0]}")
    return differences
