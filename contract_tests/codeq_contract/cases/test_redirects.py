"""Section 1: paths with a slash too many are redirected (R19)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS, Reply
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

GETS = [f"{TASKS}/x", f"{TASKS}/claim", f"{TASKS}/x/result", f"{ADMIN}/queues", f"{ADMIN}/queues/x", "/metrics"]
POSTS = [
    TASKS,
    f"{TASKS}/batch",
    f"{TASKS}/claim",
    f"{TASKS}/claim/batch",
    f"{TASKS}/x/heartbeat",
    f"{TASKS}/x/abandon",
    f"{TASKS}/x/nack",
    f"{TASKS}/x/result",
    f"{TASKS}/batch/results",
    SUBSCRIPTIONS,
    f"{SUBSCRIPTIONS}/x/heartbeat",
    f"{ADMIN}/tasks/cleanup",
]
#: Targets, and the locations of their redirects: with `.` and `..` resolved, and encoded again byte by byte.
RESOLVED = {
    f"{TASKS}/%2e%2e/result/": "/v1/codeq/result",
    f"{TASKS}/%2E/result/": f"{TASKS}/result",
    f"{TASKS}/%2e%2e/": "/v1/codeq",
    f"{ADMIN}/queues/%2e/": f"{ADMIN}/queues",
}
ENCODED = {
    f"{TASKS}/%E9'/": f"{TASKS}/%E9%27",
    f"{TASKS}/%c3%a9/": f"{TASKS}/%C3%A9",
    f"{TASKS}/%41%7E!%20%22%3f%23%25/": f"{TASKS}/A~%21%20%22%3F%23%25",
    f"{TASKS}/%24&+,%3A;=@(*)/": f"{TASKS}/$&+,:;=@%28%2A%29",
}
QUERIES = ["?", "?a=b", "?a=%zz&b='", "?c=%22d%22?e", "?x=/../%2e/", "?%c3%a9=%E9", "?a+b:c@d,e!(*)~"]


@checks("R19.1", "R19.2", "R19.3", "R19.6", "R19.7")
@pytest.mark.parametrize("path", GETS)
def test_a_get_with_a_slash_at_its_end_is_redirected_by_a_page(contract: CaseContext, path: str) -> None:
    reply = contract.anonymous.get(f"{path}/")
    assert (reply.status, reply.headers["location"]) == (301, path)
    assert reply.text == f'<a href="{path}">Moved Permanently</a>.\n\n'
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert contract.call(contract.anonymous.request("PUT", f"{path}/")).status == 404


@checks("R19.4", "R19.5", "R19.6", "R19.7")
@pytest.mark.parametrize("path", POSTS)
def test_a_post_with_a_slash_at_its_end_is_redirected_without_a_page(contract: CaseContext, path: str) -> None:
    for reply in (contract.anonymous.post(f"{path}/", {}), contract.worker.post(f"{path}/")):
        assert (reply.status, reply.headers["location"], reply.body) == (307, path, b"")


@checks("R20.8")
def test_a_redirect_has_no_request_id(contract: CaseContext) -> None:
    for reply in (
        contract.anonymous.get(f"{TASKS}/abc/"),
        contract.worker.get(f"{TASKS}/abc/", X_Request_Id="my-id"),
        contract.worker.post(f"{TASKS}/", {}, X_Request_Id="my-id"),
    ):
        assert reply.status in (301, 307)
        assert "x-request-id" not in reply.headers


@checks("R19.8")
def test_a_location_has_its_path_resolved(contract: CaseContext) -> None:
    assert {target: location(contract.anonymous.get(target)) for target in RESOLVED} == RESOLVED


@checks("R19.9")
def test_a_location_is_encoded_again_byte_by_byte(contract: CaseContext) -> None:
    assert {target: location(contract.anonymous.get(target)) for target in ENCODED} == ENCODED


@checks("R19.10")
def test_a_location_keeps_the_query_as_it_came(contract: CaseContext) -> None:
    for query in QUERIES:
        assert location(contract.anonymous.get(f"{TASKS}/abc/{query}")) == f"{TASKS}/abc{query}"
        assert location(contract.anonymous.post(f"{TASKS}/claim/{query}", {})) == f"{TASKS}/claim{query}"


@checks("R19.11")
def test_the_link_of_a_redirect_is_escaped(contract: CaseContext) -> None:
    target = f"{TASKS}/a&b/?c=d&e='f'"
    assert contract.anonymous.get(target).text == (
        f'<a href="{TASKS}/a&amp;b?c=d&amp;e=&#39;f&#39;">Moved Permanently</a>.\n\n'
    )
    # These are no characters of a URL: few clients send them, and not every proxy lets them through.
    reply = contract.anonymous.get(f'{TASKS}/x/?<">')
    assert reply.text == f'<a href="{TASKS}/x?&lt;&#34;&gt;">Moved Permanently</a>.\n\n'
    assert location(reply) == f'{TASKS}/x?<">'


@checks("R19.20")
@pytest.mark.parametrize(
    ("sent", "prefix"),
    [
        ("/api", "/api"),
        ("api", "api/v1/codeq/tasks/api"),
        ("/a-b/../C-1//d/./", "/C-1/d"),
        ("/é_a.b c", "/abc"),
        ("../x", "/x"),
        ("//api", "/api"),
        ("/", ""),
        (".", ""),
        ("", ""),
    ],
)
def test_a_location_has_the_prefix_that_a_proxy_has_taken_away(contract: CaseContext, sent: str, prefix: str) -> None:
    for reply in (
        contract.anonymous.get(f"{TASKS}/abc/?a", X_Forwarded_Prefix=sent),
        contract.anonymous.post(f"{TASKS}/abc/?a", {}, X_Forwarded_Prefix=sent),
    ):
        assert location(reply) == f"{prefix}{TASKS}/abc?a"


@checks("R19.12")
def test_a_location_keeps_the_host_of_an_absolute_target(contract: CaseContext) -> None:
    for sent, kept in (
        ("HTTP://codeq.test:81", "http://codeq.test:81"),
        ("http+A-0.x://u%3a$:p%3f:@A!~\xe9", "http+a-0.x://u%3A$:p%3F%3A@A!~%C3%A9"),
        ("http://@[::1]:", "http://@[::1]:"),
        ("http:", "http:"),
    ):
        reply = contract.anonymous.get(f"{sent}{TASKS}/abc/?a")
        assert (reply.status, location(reply)) == (301, f"{kept}{TASKS}/abc?a")
        assert reply.text == f'<a href="{kept}{TASKS}/abc?a">Moved Permanently</a>.\n\n'


@checks("R19.19")
def test_bytes_beyond_ascii_are_taken_as_they_are(contract: CaseContext) -> None:
    for path, escaped in (("\xe9", "%E9"), ("\xc3\xa9", "%C3%A9"), ("a\x80\xff", "a%80%FF")):
        request = contract.anonymous.request("GET", f"{TASKS}/{path}/?{path}")
        reply = contract.call(replace(request, is_raw=True))
        assert (reply.status, location(reply)) == (301, f"{TASKS}/{escaped}?{escaped.lower()}")
        request = contract.worker.request("GET", f"{TASKS}/{path}?{path}")
        assert contract.call(replace(request, is_raw=True)).refusal == (404, "not found")


@pytest.mark.parametrize(
    "path", [pytest.param(TASKS, marks=checks("R19.13")), pytest.param(SUBSCRIPTIONS, marks=checks("R19.14"))]
)
def test_a_post_to_an_id_with_a_slash_is_redirected_to_nothing(contract: CaseContext, path: str) -> None:
    reply = contract.anonymous.post(f"{path}/abc/", {})
    assert (reply.status, location(reply), reply.body) == (307, f"{path}/abc", b"")
    assert contract.anonymous.post(f"{path}/abc", {}).text == "404 page not found"
    assert contract.anonymous.post(f"{path}/abc//", {}).text == "404 page not found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", f"{TASKS}//", marks=checks("R19.15")),
        pytest.param("POST", f"{TASKS}//", marks=checks("R19.16")),
        pytest.param("GET", f"{ADMIN}/queues//", marks=checks("R19.17")),
        pytest.param("POST", f"{SUBSCRIPTIONS}//", marks=checks("R19.18")),
    ],
)
def test_two_slashes_lose_one(contract: CaseContext, method: str, path: str) -> None:
    reply = contract.call(contract.anonymous.request(method, path))
    assert (reply.status, location(reply)) == (301 if method == "GET" else 307, path[:-1])


def location(reply: Reply) -> str:
    """Where a redirect leads to."""
    return reply.headers["location"]
