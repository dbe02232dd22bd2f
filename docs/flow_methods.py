"""A Griffe extension: shows a client's methods with the signature and the text of the flow that each performs.

`CodeQ` and `BlockingCodeQ` have no method of their own for a call of the API: `create = _awaited(operations.create)`
makes one from a flow. Read without running, that is an attribute without a docstring.
"""

from __future__ import annotations

from typing import Any

import griffe

_FLOWS = "codeq_client._api.operations"


class FlowMethods(griffe.Extension):
    """Replaces each attribute that is made from a flow by a function."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Replace the attributes of all classes of the client."""
        if pkg.path == "codeq_client":
            flows = pkg["_api.operations"]
            for module in pkg["_api"].modules.values():
                for owner in module.classes.values():
                    _replace(owner, flows)


def _replace(owner: griffe.Class, flows: griffe.Module) -> None:
    for name, attribute in list(owner.attributes.items()):
        value = attribute.value
        if isinstance(value, griffe.ExprCall) and str(value).endswith(f"(operations.{name})"):
            flow = flows[name]
            own = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
            method = griffe.Function(
                name,
                lineno=flow.lineno,
                endlineno=flow.endlineno,
                parameters=griffe.Parameters(own, *list(flow.parameters)[1:]),
                returns=_returned(flow.returns),
                docstring=flow.docstring,
            )
            if str(value).startswith("_awaited"):
                method.labels.add("async")
            owner.set_member(name, method)


def _returned(annotation: str | griffe.Expr | None) -> str | griffe.Expr | None:
    """What a flow returns in the end: `T` of `Flow[T]`."""
    return annotation.slice if isinstance(annotation, griffe.ExprSubscript) else annotation
