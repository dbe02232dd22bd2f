"""Serve the API: `python -m starlette_app`."""

from __future__ import annotations

import logging

import uvicorn

from codeq_client import CodeQ
from codeq_client.errors import ConfigurationError

from .api import make_api
from .settings import environment


def main() -> None:
    """Serve on `PORT`, 3000 when it is not set."""
    logging.basicConfig(level=logging.INFO)
    settings = environment()
    try:
        codeq = CodeQ.from_env(settings)
        port = int(settings.get("PORT") or 3000)
    except (ConfigurationError, ValueError) as error:
        raise SystemExit(f"the settings are wrong: {error}. See .env.example") from None
    uvicorn.run(make_api(codeq, settings.get("WEBHOOK_SECRET") or None), host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
