"""A Griffe extension: documents a client's methods with the signatures and docstrings of the functions behind them.

`CodeQ` and `BlockingCodeQ` define no method for a call of the API: `create = _method(operations.create)` makes one from
an operation, which may in turn be made from a call. Read without running, such a method is an attribute without a
docstring.
"""

from __future__ import annotations

from typing import Any

import griffe


class FlowMethods(griffe.Extension):
    """Replaces each attribute that is made from an operation by a function."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Replace the attributes of the two clients."""
        if pkg.path == "codeq_client":
            for module in ("client", "blocking_client"):
                for owner in pkg["_api"][module].classes.values():
                    _replace(owner, pkg["_api"])


def _replace(owner: griffe.Class, api: griffe.Module) -> None:
    for name, attribute in list(owner.attributes.items()):
        value = str(attribute.value)
        if not value.endswith(f"(operations.{name})"):
            continue
        operation = api["operations"][name]
        if isinstance(operation, griffe.Function):
            source, given = operation, list(operation.parameters)[1:]  # the first is the client's core
        else:
            source = api["calls"][name]
            given = list(source.parameters)
        own = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
        method = griffe.Function(
            name,
            lineno=source.lineno,
            endlineno=source.endlineno,
            parameters=griffe.Parameters(own, *given),
            returns=_returned(source.returns),
            docstring=source.docstring,
        )
        if "Coroutine" in str(owner.module[value.partition("(")[0]].returns):
            method.labels.add("async")
        owner.set_member(name, method)


def _returned(annotation: str | griffe.Expr | None) -> str | griffe.Expr | None:
    """Return what a flow or a call returns in the end: `T` of `Flow[T]` or `Call[T]`."""
    return annotation.slice if isinstance(annotation, griffe.ExprSubscript) else annotation
