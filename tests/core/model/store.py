"""The store of the naive model: when keys are gone, and when a lease counts as expired (K8)."""

from __future__ import annotations

from urllib.parse import urlsplit

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
DAY_SECONDS = 86_400
BUILT_IN = ("GENERATE_MASTER", "GENERATE_CREATIVE")


def gone_at(profile: str, now: int, seconds: int) -> int:
    """When a key that is set now with this time to live is gone, in milliseconds."""
    exact = now // MILLISECOND + seconds * 1000
    return (exact + 499) // 1000 * 1000 if profile == "kvrocks-2.8" else exact


def ran_out(profile: str, gone: int, now: int) -> bool:
    """Whether the store's TTL of a lease's key reads 0, or the key is gone."""
    left = gone - now // MILLISECOND
    return left <= 0 or (left + (500 if profile == "redis" else 0)) // 1000 == 0


def is_http(url: str) -> bool:
    """Enough of C3 for the URLs that the tests draw."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in url
