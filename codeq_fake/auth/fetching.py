"""Fetch a JWKS document over HTTP, or from a file: the only input or output of ``codeq_fake.auth``."""

from __future__ import annotations

from .keys import FetchFailed

_OK = 200


async def fetch_url(url: str, timeout: float) -> bytes:  # noqa: ASYNC109 - httpx's own timeout, per step
    """The content at an ``http(s)://`` or ``file://`` URL, within ``timeout`` seconds. Raises FetchFailed."""
    if url.startswith("file://"):
        return await _read_file(url)
    import httpx  # noqa: PLC0415 - 150 ms that only this costs

    try:
        # Without the environment's proxies: a JWKS server is on this machine or in this network.
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=True) as client:
            response = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(f'failed to fetch JWKS: Get "{url}": {str(error) or type(error).__name__}') from None
    if response.status_code != _OK:
        raise FetchFailed(f"JWKS endpoint returned status {response.status_code}")
    return response.content


async def _read_file(url: str) -> bytes:
    from urllib.parse import urlsplit  # noqa: PLC0415 - as httpx
    from urllib.request import url2pathname  # noqa: PLC0415 - as httpx

    import anyio  # noqa: PLC0415 - as httpx

    try:
        return await anyio.Path(url2pathname(urlsplit(url).path)).read_bytes()
    except (OSError, ValueError) as error:
        raise FetchFailed(f'failed to fetch JWKS: Get "{url}": {error}') from None
