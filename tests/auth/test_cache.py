"""The cache: a valid header is remembered exactly as long as it is valid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codeq_fake.auth import Authenticator, Unauthenticated, identities_of
from codeq_fake.auth.authenticator import REMEMBERED
from codeq_fake.auth.caller import Authentication, Caller
from codeq_fake.server_settings import Settings
from tests.auth.support import CALLERS, DAY, NOW, SECOND, Door, mint, named_door, signed_door


class CountingProvider:
    """Accepts every token, and records the tokens that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def authenticate(self, token: str, *, now: int) -> Authentication:  # noqa: ARG002 - valid at any time
        self.asked.append(token)
        return Authentication(Caller(token, token, frozenset({"codeq:claim"}), ("*",), {}, token))


def test_a_repeated_header_is_checked_once_for_each_kind_of_route() -> None:
    producers, workers = CountingProvider(), CountingProvider()
    door = Authenticator(producers, workers)
    for _ in range(3):
        door.producer("Bearer a", now=NOW)
        door.admin("Bearer a", "ADMIN", now=NOW)
        door.worker("Bearer a", "codeq:claim", now=NOW)
        door.reader("Bearer a", now=NOW)
    assert (producers.asked, workers.asked) == (["a"], ["a", "a"])


def test_the_oldest_header_is_forgotten_when_there_are_too_many() -> None:
    producers = CountingProvider()
    door = Authenticator(producers, producers)
    for number in range(REMEMBERED + 1):
        door.producer(f"Bearer {number}", now=NOW)
    door.producer(f"Bearer {REMEMBERED}", now=NOW)
    door.producer("Bearer 1", now=NOW)
    assert len(producers.asked) == REMEMBERED + 1
    door.producer("Bearer 0", now=NOW)
    assert producers.asked[REMEMBERED + 1 :] == ["0"]


@pytest.mark.parametrize("make_door", [signed_door, named_door])
def test_a4_refusals_are_not_remembered_and_nbf_is_honoured_as_the_clock_moves(make_door: Callable[[], Door]) -> None:
    door = make_door()
    header = door.header("Bearer {nbf}")
    with pytest.raises(Unauthenticated, match="token is not valid yet"):
        door.authenticator.producer(header, now=4_000_000_000 * SECOND - 1)
    allowed = {**CALLERS["nbf"], "claims": {"sub": "x", "nbf": NOW // SECOND + 5}}
    later = Authenticator.of(Settings(), identities_of({"later": allowed}))
    with pytest.raises(Unauthenticated, match="token is not valid yet"):
        later.producer("Bearer later", now=NOW + 5 * SECOND - 1)
    assert later.producer("Bearer later", now=NOW + 5 * SECOND).subject == "x"


def test_a4_exp_is_honoured_to_the_nanosecond_as_the_clock_moves() -> None:
    door = signed_door().authenticator
    header = f"Bearer {mint(CALLERS['prod'], now=NOW)}"
    assert door.producer(header, now=NOW).subject == "prod-1"
    assert door.producer(header, now=NOW + DAY - 1).subject == "prod-1"
    with pytest.raises(Unauthenticated, match="token has invalid claims: token is expired"):
        door.producer(header, now=NOW + DAY)
    assert door.producer(header, now=NOW).subject == "prod-1"


def test_a4_a_fraction_of_a_second_of_exp_is_cut_off() -> None:
    door = Authenticator.of(Settings(), identities_of({"p": {"kind": "producer", "claims": {"exp": 1000.9}}}))
    assert door.producer("Bearer p", now=1000 * SECOND - 1).subject == ""
    with pytest.raises(Unauthenticated, match="token is expired"):
        door.producer("Bearer p", now=1000 * SECOND)


def test_an_identity_stays_good_however_far_the_clock_moves() -> None:
    door = named_door()
    for days in (0, 1, 2, 400):
        assert door.authenticator.producer("Bearer prod", now=NOW + days * DAY).subject == "prod-1"


def test_two_authenticators_remember_apart() -> None:
    identity = {"p": {"kind": "producer"}}
    first = Authenticator.of(Settings(), identities_of(identity))
    first.producer("Bearer p", now=NOW)
    with pytest.raises(Unauthenticated):
        Authenticator.of(Settings()).producer("Bearer p", now=NOW)
