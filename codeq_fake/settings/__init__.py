"""What an operator can set: the real server's environment variables and YAML file (contract section 16)."""

from __future__ import annotations

from .auth import ADMIN_SCOPE, WORKER_SCOPES, JwksAuth, StaticAuth
from .errors import SettingsError
from .model import RateLimit, Settings

__all__ = ["ADMIN_SCOPE", "WORKER_SCOPES", "JwksAuth", "RateLimit", "Settings", "SettingsError", "StaticAuth"]
