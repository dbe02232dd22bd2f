"""The suite's access to a CodeQ server, of any kind and anywhere: requests, a clock, callers and a webhook."""

from __future__ import annotations

from .clocks import Clock, NotInTimeError
from .interface import Driver
from .namespace import Namespace
from .requests import ADMIN, SUBSCRIPTIONS, TASKS, Exchange, Reply, Request, UnsupportedError
from .server_settings import PRODUCTION, TRACING, KnownSettings, Setup
from .time_bounds import TICK, Span, TimeBounds
from .webhooks import Answer, Received, Receiver
