"""Section 5: the time from which a new task is due (C6). What happens then is in test_timed_delays."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.times import SECOND, moment_text
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

MINUTE = 60 * SECOND
RUN_AT_ERROR = "invalid 'runAt' (use RFC3339)"
DELAY_ERROR = "invalid 'delaySeconds' (must be >= 0)"


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(
            [
                "x",
                " ",
                "946684800",
                "2000-01-01T00:00:00",
                "2000-01-01 00:00:00Z",
                " 2000-01-01T00:00:00Z",
                "2000-01-01T00:00:00Z ",
                "2000-01-01T00:00:00Z\n",
                "2000-01-01T00:00:00.5",
                "٢٠٠٠-01-01T00:00:00Z",
                "2000\u221201-01T00:00:00Z",
                "2001-02-29T00:00:00Z",
                "1900-02-29T00:00:00Z",
                "2000-04-31T00:00:00Z",
                "2000-00-01T00:00:00Z",
                "2000-13-01T00:00:00Z",
                "2000-01-00T00:00:00Z",
                "2000-01-32T00:00:00Z",
                "2000-1-01T00:00:00Z",
                "2000-01-1T00:00:00Z",
                "2000-001-01T00:00:00Z",
                "2000-01-001T00:00:00Z",
            ],
            marks=checks("C6.1"),
        ),
        pytest.param(
            [
                "2000-01-01",
                "2000-01-01T00:00Z",
                "2000-01-01TZ",
                "2000-01-01T00:0:00Z",
                "2000-01-01T00:00:0Z",
                "2000-01-01T00:000:00Z",
                "2000-01-01T00:00:000Z",
                "2000-01-01T00:60:00Z",
            ],
            marks=checks("C6.2"),
        ),
        pytest.param(["2000-01-01t00:00:00Z", "2000-01-01T00:00:00z"], marks=checks("C6.3")),
        pytest.param(["2000-01-01T00:00:60Z"], marks=checks("C6.4")),
        pytest.param(["2000-01-01T24:00:00Z", "2000-01-01T000:00:00Z"], marks=checks("C6.5")),
        pytest.param(
            [f"{year}-01-01T00:00:00Z" for year in ("02000", "200", "-200", "+200", "-2000", "")], marks=checks("C6.6")
        ),
        pytest.param(
            [f"2000-01-01T00:00:00{odd}Z" for odd in (".", ",", ";5", ".5.", ". 5", ".5 ")], marks=checks("C6.8")
        ),
        pytest.param(["2000-01-01T00:00:00+25:00", "2000-01-01T00:00:00-25:00"], marks=checks("C6.9")),
        pytest.param(
            [
                f"2000-01-01T00:00:00{odd}"
                for odd in ("+0000", "+00", "+0:00", "+00:0", "+00:000", " 00:00", "Z+00:00", "+-1:00")
            ],
            marks=checks("C6.10"),
        ),
        pytest.param(["2000-01-01T00:00:00+00:61", "2000-01-01T00:00:00-00:61"], marks=checks("C6.22")),
    ],
)
def test_a_time_that_go_cannot_read_is_refused(contract: CaseContext, times: list[str]) -> None:
    command = contract.command()
    found = {run_at: contract.producer.create(command, runAt=run_at).refusal for run_at in times}
    assert found == dict.fromkeys(times, (400, RUN_AT_ERROR))


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(["2000-01-01T0:00:00Z", "2000-01-01T9:59:59.0Z"], marks=checks("C6.7")),
        pytest.param(["2000-01-01T00:00:00.5Z", "2000-01-01T00:00:00,123456789012Z"], marks=checks("C6.8")),
        pytest.param(["2000-01-01T00:00:00+24:00", "2000-01-01T00:00:00-24:00"], marks=checks("C6.9")),
        pytest.param(["2000-01-01T00:00:00-00:60", "2000-01-01T00:00:00+24:60"], marks=checks("C6.22")),
        pytest.param(
            ["2000-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2000-12-31T00:00:00-00:00", "0000-02-29T00:00:00Z"],
            marks=checks("C6.15"),
        ),
    ],
)
def test_a_task_for_the_past_is_pending(contract: CaseContext, times: list[str]) -> None:
    command = contract.command()
    replies = {run_at: contract.producer.create(command, runAt=run_at) for run_at in times}
    found = {run_at: (reply.status, reply.json.get("lastKnownLocation")) for run_at, reply in replies.items()}
    assert found == dict.fromkeys(times, (202, "PENDING_LIST"))


@checks("C6.15")
def test_a_task_for_now_is_pending(contract: CaseContext) -> None:
    # Another machine's clock may be a little behind.
    now = contract.clock.now() - contract.time_bounds.server_skew
    task = contract.producer.created(contract.command(), runAt=moment_text(now))
    assert task["lastKnownLocation"] == "PENDING_LIST"


@checks("C6.23")
def test_a_task_for_the_next_nanosecond_is_delayed(contract: CaseContext) -> None:
    later = contract.clock.now() + contract.time_bounds.server_skew + 1
    reply = contract.producer.create(contract.command(), runAt=moment_text(later))
    contract.surely_before(reply, later)
    assert (reply.status, reply.json["lastKnownLocation"]) == (202, "DELAYED_ZSET")


@checks("C6.10")
@pytest.mark.parametrize(
    ("minutes", "offset", "location"),
    [
        (+60, "+02:00", "PENDING_LIST"),
        (-60, "-02:00", "DELAYED_ZSET"),
        (+90, "+01:59", "PENDING_LIST"),
        (-90, "-01:59", "DELAYED_ZSET"),
    ],
)
def test_the_offset_of_a_time_counts(contract: CaseContext, minutes: int, offset: str, location: str) -> None:
    run_at = moment_text(contract.clock.now() + minutes * MINUTE).replace("Z", offset)
    assert contract.producer.created(contract.command(), runAt=run_at)["lastKnownLocation"] == location


@pytest.mark.parametrize(
    "run_at",
    [
        pytest.param("", marks=checks("C6.11")),
        pytest.param("0001-01-01T00:00:00Z", marks=checks("C6.12")),
        pytest.param("0001-01-01T0:00:00,000Z", marks=checks("C6.12")),
        pytest.param("0001-01-01T02:00:00+02:00", marks=checks("C6.12")),
    ],
)
def test_an_empty_time_is_none(contract: CaseContext, run_at: str) -> None:
    reply = contract.producer.create(contract.command(), runAt=run_at, delaySeconds=3600)
    assert (reply.status, reply.json["lastKnownLocation"]) == (202, "DELAYED_ZSET")


@checks("C6.14")
def test_a_time_overrides_a_delay_also_when_it_is_past(contract: CaseContext) -> None:
    past = moment_text(contract.clock.now() - 60 * MINUTE)
    task = contract.producer.created(contract.command(), runAt=past, delaySeconds=3600)
    assert task["lastKnownLocation"] == "PENDING_LIST"


@checks("C6.16")
def test_no_delay_is_no_delay(contract: CaseContext) -> None:
    assert contract.producer.created(contract.command(), delaySeconds=0)["lastKnownLocation"] == "PENDING_LIST"


@checks("C6.13")
@pytest.mark.parametrize("delay", [-1, -(2**63)])
def test_a_delay_below_0_is_refused(contract: CaseContext, delay: int) -> None:
    assert contract.producer.create(contract.command(), delaySeconds=delay).refusal == (400, DELAY_ERROR)


@checks("C6.21")
def test_a_delay_below_0_is_refused_even_if_a_time_overrides_it(contract: CaseContext) -> None:
    past = moment_text(contract.clock.now() - 60 * MINUTE)
    assert contract.producer.create(contract.command(), runAt=past, delaySeconds=-1).refusal == (400, DELAY_ERROR)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"runAt": "x", "delaySeconds": -1}, RUN_AT_ERROR, marks=checks("C6.18")),
        pytest.param({"command": " ", "delaySeconds": -1}, DELAY_ERROR, marks=checks("C6.19")),
        pytest.param({"command": " ", "webhook": "x"}, "invalid command", marks=checks("C6.20")),
    ],
)
def test_the_first_of_several_errors_is_reported(contract: CaseContext, fields: dict[str, str], error: str) -> None:
    assert contract.producer.create(**{"command": contract.command(), **fields}).refusal == (400, error)
