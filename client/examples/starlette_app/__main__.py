"""Serve the API: `python -m starlette_app`."""

from __future__ import annotations

import logging

import uvicorn

from codeq_client import CodeQ
from codeq_client.errors import ConfigurationError

from .api import make_api
from .settings import environment, problems


def main() -> None:
    """Serve on `PORT`, by default 3000."""
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    settings = environment()
    if wrong := problems(settings):
        raise SystemExit("\n".join(["the settings are wrong, see .env.example:", *wrong]))
    try:
        codeq = CodeQ.from_env(settings)
    except ConfigurationError as error:
        raise SystemExit(f"the settings are wrong, see .env.example:\n{error}") from None
    port = int(settings.get("PORT") or 3000)
    uvicorn.run(make_api(codeq, settings.get("WEBHOOK_SECRET") or None), host="127.0.0.1", port=port, access_log=False)


if __name__ == "__main__":
    main()
