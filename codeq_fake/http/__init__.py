"""The 17 routes of the contract: they decode a request, call the core and encode the reply.

The rules about tasks are in `codeq_fake.core`.
"""

from __future__ import annotations

from .operations import OPERATIONS, Operation
from .routes import contract_app
