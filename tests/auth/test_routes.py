"""The recorded sessions about authentication, clause by clause, with signed tokens and with named identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.auth import Forbidden, Refusal, Unauthenticated
from tests.auth.support import ALL, NOW, named_door, signed_door

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.auth import Caller
    from tests.auth.support import Door

CLAIM, HEARTBEAT = "codeq:claim", "codeq:heartbeat"
HEADER_FAULTS = [
    (None, "missing Authorization header"),
    ("", "missing Authorization header"),
    (" \t", "missing Authorization header"),
    ("Bearer", "invalid Authorization format"),
    ("Bearer ", "invalid Authorization format"),
    ("Bearer\t{prod}", "invalid Authorization format"),
    ("Basic abc", "invalid Authorization format"),
    ("abc", "invalid Authorization format"),
    ("Token {prod}", "invalid Authorization format"),
    ("{prod}", "invalid Authorization format"),
]
TOKEN_FAULTS = [
    ("Bearer nonsense", "token is malformed: token contains an invalid number of segments"),
    ("Bearer zzz", "token is malformed: token contains an invalid number of segments"),
    ("Bearer a.b.c", "token is malformed: could not base64 decode header: illegal base64 data at input byte 0"),
    ("BEARER  {prod}", "token is malformed: could not base64 decode header: illegal base64 data at input byte 0"),
    ("Bearer {prod} x", "token is malformed: could not base64 decode signature: illegal base64 data at input byte 342"),
    ("Bearer bearer {prod}", "token is malformed: could not base64 decode header: illegal base64 data at input byte 6"),
    ("Bearer {prod} {prod}", "token is malformed: token contains an invalid number of segments"),
    ("Bearer {expired}", "token has invalid claims: token is expired"),
    ("Bearer {nbf}", "token has invalid claims: token is not valid yet"),
    ("Bearer {both}", "token has invalid claims: token is expired, token is not valid yet"),
    ("Bearer {textexp}", "token has invalid claims: invalid type for claim: exp is invalid"),
    ("Bearer {zeroexp}", "token expired"),
    ("Bearer {wrongaud}", "invalid audience: [nope]"),
    ("Bearer {audlistwrong}", "invalid audience: [a b]"),
    ("Bearer {noaud}", "invalid audience: []"),
    ("Bearer {wrongiss}", "invalid issuer: nope"),
    ("Bearer {wrongboth}", "invalid issuer: nope"),
    ("Bearer {noiss}", "invalid issuer: "),
    (
        "Bearer {badkid}",
        "token is unverifiable: error while executing keyfunc: key k9 not found in JWKS",
    ),
    ("Bearer {w1}", "invalid audience: [codeq-worker]"),
]


@pytest.fixture(params=[signed_door, named_door], ids=["signed", "named"])
def build(request: pytest.FixtureRequest) -> Callable[..., Door]:
    """Makes a door with the settings given."""
    door: Callable[..., Door] = request.param
    return door


@pytest.fixture
def door(build: Callable[..., Door]) -> Door:
    return build()


def refusal(decide: Callable[..., Caller], *arguments: str | None) -> tuple[type[Refusal], str]:
    with pytest.raises(Refusal) as caught:
        decide(*arguments, now=NOW)
    return type(caught.value), caught.value.text


@pytest.mark.parametrize(("template", "text"), HEADER_FAULTS)
def test_a1_a2_a_header_that_is_no_bearer_token_is_refused_on_both_sides(
    door: Door, template: str | None, text: str
) -> None:
    header = door.header(template)
    assert refusal(door.authenticator.producer, header) == (Unauthenticated, text)
    assert refusal(door.authenticator.worker, header, CLAIM) == (Unauthenticated, text)


@pytest.mark.parametrize("template", ["Bearer {prod}", "bearer {prod}", "BEARER {prod}", " Bearer {prod}\t"])
def test_a2_the_scheme_is_read_in_any_case_and_space_around_the_value_does_not_count(door: Door, template: str) -> None:
    assert door.authenticator.producer(door.header(template), now=NOW).subject == "prod-1"


@pytest.mark.parametrize(("template", "text"), TOKEN_FAULTS)
def test_a4_a_token_that_does_not_hold_is_refused_in_the_librarys_words(door: Door, template: str, text: str) -> None:
    assert refusal(door.authenticator.producer, door.header(template)) == (Unauthenticated, text)


@pytest.mark.parametrize("name", ["audlist", "rs384", "rs512", "noexp", "nosubp", "superadmin"])
def test_a4_these_tokens_hold(door: Door, name: str) -> None:
    caller = door.authenticator.producer(door.header(f"Bearer {{{name}}}"), now=NOW)
    assert caller.token == door.tokens[name]


@pytest.mark.parametrize(
    ("name", "scope", "kind", "text"),
    [
        ("noscope", CLAIM, Unauthenticated, "missing scope"),
        ("noscope", HEARTBEAT, Unauthenticated, "missing scope"),
        ("emptyscope", CLAIM, Unauthenticated, "missing scope"),
        ("scopelist", CLAIM, Unauthenticated, "missing scope"),
        ("noevents", CLAIM, Unauthenticated, "missing eventTypes"),
        ("noevents", HEARTBEAT, Unauthenticated, "missing eventTypes"),
        ("emptyevents", CLAIM, Unauthenticated, "missing eventTypes"),
        ("textevents", CLAIM, Unauthenticated, "missing eventTypes"),
        ("claimonly", HEARTBEAT, Forbidden, "missing scope"),
        ("claimonly", "codeq:abandon", Forbidden, "missing scope"),
        ("claimonly", "codeq:nack", Forbidden, "missing scope"),
        ("claimonly", "codeq:result", Forbidden, "missing scope"),
        ("claimonly", "codeq:subscribe", Forbidden, "missing scope"),
        ("other", CLAIM, Forbidden, "missing scope"),
        ("prod", CLAIM, Unauthenticated, "invalid audience: [codeq-producer]"),
        ("prod", HEARTBEAT, Unauthenticated, "invalid audience: [codeq-producer]"),
    ],
)
def test_a5_a_worker_needs_event_types_scopes_and_the_routes_scope(
    door: Door, name: str, scope: str, kind: type[Refusal], text: str
) -> None:
    assert refusal(door.authenticator.worker, door.header(f"Bearer {{{name}}}"), scope) == (kind, text)


@pytest.mark.parametrize(
    ("name", "scope", "subject", "event_types"),
    [
        ("w1", CLAIM, "w-1", ("*",)),
        ("claimonly", CLAIM, "w-9", ("*",)),
        ("ab", HEARTBEAT, "w-9", ("A", "B")),
        ("nosub", CLAIM, "", ("*",)),
    ],
)
def test_a5_a_worker_with_the_routes_scope_is_let_in(
    door: Door, name: str, scope: str, subject: str, event_types: tuple[str, ...]
) -> None:
    caller = door.authenticator.worker(door.header(f"Bearer {{{name}}}"), scope, now=NOW)
    assert (caller.subject, caller.event_types) == (subject, event_types)


def test_a6_a_producer_may_act_as_a_worker_that_may_do_everything(build: Callable[..., Door]) -> None:
    door = build(allow_producer_as_worker=True)
    for scope in ALL.split():
        caller = door.authenticator.worker(door.header("Bearer {prod}"), scope, now=NOW)
        assert (caller.subject, caller.tenant, caller.event_types) == ("prod-1", "acme", ("*",))
    assert refusal(door.authenticator.worker, door.header("Bearer {admin}"), "codeq:admin") == (
        Forbidden,
        "missing scope",
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Bearer {noevents}", "missing eventTypes"),
        (None, "missing Authorization header"),
        ("Bearer zzz", "token is malformed: token contains an invalid number of segments"),
        ("Bearer {expired}", "token has invalid claims: token is expired"),
        ("Bearer {wrongaud}", "invalid audience: [nope]"),
    ],
)
def test_a6_a_token_of_neither_side_is_refused_as_a_workers(
    build: Callable[..., Door], template: str | None, text: str
) -> None:
    door = build(allow_producer_as_worker=True)
    assert refusal(door.authenticator.worker, door.header(template), CLAIM) == (Unauthenticated, text)


@pytest.mark.parametrize(
    "name", ["noscope", "emptyscope", "claimonly", "other", "ab", "scopelist", "nosub", "prod", "w1"]
)
def test_a7_a_worker_with_event_types_or_a_producer_may_read(door: Door, name: str) -> None:
    assert door.authenticator.reader(door.header(f"Bearer {{{name}}}"), now=NOW).token == door.tokens[name]


@pytest.mark.parametrize("template", [None, "Bearer nonsense", "Basic x", "Bearer {noevents}", "Bearer {emptyevents}"])
def test_a7_nobody_else_may_read_and_the_reason_is_not_told(door: Door, template: str | None) -> None:
    assert refusal(door.authenticator.reader, door.header(template)) == (Unauthenticated, "invalid token")


@pytest.mark.parametrize(
    ("name", "role_header"),
    [("admin", None), ("admin", "ADMIN"), ("admin-role", None), ("prod", "ADMIN"), ("prod", "admin")],
)
def test_a8_scope_or_role_or_in_development_the_role_header_make_an_admin(
    door: Door, name: str, role_header: str | None
) -> None:
    caller = door.authenticator.admin(door.header(f"Bearer {{{name}}}"), role_header, now=NOW)
    assert caller.token == door.tokens[name]


@pytest.mark.parametrize(
    ("template", "role_header", "text"),
    [
        ("Bearer {prod}", None, "unauthorized. Admin only"),
        ("Bearer {prod}", "USER", "unauthorized. Admin only"),
        ("Bearer {superadmin}", None, "unauthorized. Admin only"),
        ("Bearer {superadmin}", "ADMIN", "unauthorized. Admin only"),
        ("Bearer {w1}", "ADMIN", "invalid audience: [codeq-worker]"),
        (None, "ADMIN", "missing Authorization header"),
    ],
)
def test_a8_nobody_else_is_admin(door: Door, template: str | None, role_header: str | None, text: str) -> None:
    assert refusal(door.authenticator.admin, door.header(template), role_header) == (Unauthenticated, text)


def test_a8_outside_development_the_role_header_is_not_believed(build: Callable[..., Door]) -> None:
    door = build(env="prod")
    assert refusal(door.authenticator.admin, door.header("Bearer {prod}"), "ADMIN") == (
        Unauthenticated,
        "unauthorized. Admin only",
    )
    assert door.authenticator.admin(door.header("Bearer {admin}"), None, now=NOW).subject == "ops-1"


@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        ("prod", "acme"),
        ("org", "o1"),
        ("org2", "o1"),
        ("tid2", "o1"),
        ("num", "p"),
        ("numthenorg", "o1"),
        ("blank", "o1"),
        ("pad", "o1"),
        ("first", "o1"),
        ("rs512", "x"),
        ("nosubp", ""),
    ],
)
def test_a9_the_tenant_is_the_first_text_among_the_tenant_claims_or_else_the_subject(
    door: Door, name: str, tenant: str
) -> None:
    assert door.authenticator.reader(door.header(f"Bearer {{{name}}}"), now=NOW).tenant == tenant
