"""Old place of `keep_first_result`: import it from `codeq_client`."""

from __future__ import annotations

import warnings

from ._worker.middleware import keep_first_result as keep_first_result  # noqa: PLC0414 - re-exported

warnings.warn(
    "codeq_client.repeats is deprecated: import keep_first_result from codeq_client", DeprecationWarning, stacklevel=2
)
