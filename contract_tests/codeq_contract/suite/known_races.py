"""Whether a known race explains that a case fails: its calls show it, and further tries fail no more than its bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codeq_contract.driver import Exchange

from .deviations import Deviation
from .deviations.races import Calls, calls_of
from .runner import FAILURES, Attempts


@dataclass(frozen=True, slots=True)
class Sign:
    """The calls that show a race."""

    race: str
    calls: Calls


@dataclass(frozen=True, slots=True)
class Sample:
    """How many of the tries of a case failed, and the first error that no race explains."""

    tries: int
    failed: int
    unexplained: str = ""

    @classmethod
    def of(cls, deviation: Deviation, attempts: Iterable[Attempts]) -> Sample:
        """The sample of these attempts. Those with an unknown outcome do not count."""
        counted = [each for each in attempts if each.error is None or is_failure(each)]
        failed = [each for each in counted if each.error is not None]
        unexplained = [each for each in failed if sign_of(deviation, each.contract.last_example) is None]
        return cls(len(counted), len(failed), "".join(str(each.error) for each in unexplained[:1]))

    def __str__(self) -> str:
        return f"{self.failed} of {self.tries} further tries failed"


def is_failure(attempts: Attempts) -> bool:
    """Whether the server is what made the last attempt fail."""
    is_answered = all(exchange.reply.status for exchange in attempts.contract.transcript)
    return is_answered and isinstance(attempts.error, FAILURES)


def sign_of(deviation: Deviation, exchanges: Sequence[Exchange]) -> Sign | None:
    """The first of the deviation's races that these calls show."""
    signs = (Sign(race, calls_of(race, exchanges)) for race in deviation.races)
    return next((sign for sign in signs if sign.calls), None)


def objection(deviation: Deviation, sign: Sign | None, sample: Sample | None) -> str:
    """Why the deviation does not explain a failure, or nothing. A deviation without races needs no proof."""
    if not deviation.races:
        return ""
    if sign is None or sample is None:
        return f"no calls show {' or '.join(deviation.races)}, as the known deviation from {deviation.clause} would"
    if sample.unexplained:
        return f"in a further try no calls show {' or '.join(deviation.races)}: {sample.unexplained}"
    if sample.failed > deviation.at_most:
        return (
            f"{sample}; the known deviation from {deviation.clause} is at most {deviation.at_most} of {deviation.tries}"
        )
    return ""


def doubt(deviation: Deviation, sample: Sample | None) -> str:
    """Why it is not known whether the failures are within the deviation's bound, or nothing: too few tries count."""
    left = 0 if sample is None else deviation.tries - sample.tries
    if sample is None or sample.failed + left <= deviation.at_most:
        return ""
    return (
        f"only {sample.tries} of {deviation.tries} further tries count, of which {sample.failed} failed, and the known "
        f"deviation from {deviation.clause} is at most {deviation.at_most} of {deviation.tries}"
    )
