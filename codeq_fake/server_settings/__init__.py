"""Settings: the real server's environment variables and YAML file (clauses: Settings)."""

from __future__ import annotations

from .auth import ADMIN_SCOPE, WORKER_SCOPES, Auth, JwksAuth, MultiAuth, StaticAuth
from .readers import SettingsError
from .settings import Settings
