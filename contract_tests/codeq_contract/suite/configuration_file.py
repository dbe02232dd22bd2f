"""The text of a configuration file for a deployment, with comments that say what more it may have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from codeq_contract.report.results import GROUPS
from codeq_contract.stores import STORES

from .options import CALLERS

#: What the tokens of further callers are for.
_ABOUT_CALLERS: Mapping[str, str] = {
    "producer": "required: it creates the tasks of every case",
    "worker": "required: it ends them",
    "producer2": "of the same tenant",
    "worker2": "of the same tenant",
    "worker3": "of the same tenant",
    "other_producer": "of a second tenant",
    "other_worker": "of the second tenant",
    "admin": "of the first tenant, with the scope codeq:admin",
}


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """The options of a deployment. An empty one stands in the file as a comment, with an example."""

    url: str
    profile: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)
    token_command: str = ""
    webhook_bind: str = ""
    webhook_advertise: str = ""

    def text(self) -> str:
        """The whole file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        """The parts of the file; what is not known is a comment with an example."""
        yield "# The configuration of `codeq-contract run --config FILE` for a deployment. It may hold secrets."
        yield "target: url"
        yield "# The part of the server's addresses before /v1."
        yield f"url: {_scalar(self.url)}"
        yield f"\n# The store decides when leases end: {', '.join(STORES)}. With `any` the bounds of all are allowed."
        yield _option("profile", self.profile, "kvrocks-2.8")
        yield "\n# A token for each caller. Cases that need a missing caller are unsupported, not failed."
        yield from self._tokens()
        yield "# In their place: a command that prints the token of the caller that its argument names."
        yield _option("token_command", self.token_command, "./token.sh")
        yield "\n# Where to listen for callbacks, and the URL at which the server reaches that. Without it no case that"
        yield "# needs callbacks is run."
        yield _option("webhook_bind", self.webhook_bind, "0.0.0.0:8099")
        yield _option("webhook_advertise", self.webhook_advertise, "http://this-host.example:8099")
        yield "\n# The server's settings, as far as you know them: more cases run, and their times are exact."
        yield "# settings:\n#   BACKOFF_POLICY: fixed\n#   BACKOFF_BASE_SECONDS: 1"
        yield "\n# What the deployment intentionally lacks."
        yield "# without: [metrics, subscriptions]"
        yield "\n# The groups of cases to run, and a folder for the reports."
        yield f"# level: {','.join(GROUPS)}\n# report: report"

    def _tokens(self) -> Iterator[str]:
        yield "tokens:" if self.tokens else "# tokens:"
        for name in CALLERS:
            token = self.tokens.get(name, "")
            shown = f"{name}: {_scalar(token or '...')}  # {_ABOUT_CALLERS[name]}"
            yield f"  {shown}" if token else f"#   {shown}"


def _option(name: str, value: str, example: str) -> str:
    return f"{name}: {_scalar(value)}" if value else f"# {name}: {example}"


def _scalar(text: str) -> str:
    """The text as a scalar of YAML, which takes a string of JSON."""
    return json.dumps(text, ensure_ascii=False)
