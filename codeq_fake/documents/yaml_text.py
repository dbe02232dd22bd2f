"""Reads YAML into values that JSON has too: times stay text. Importing this module loads the YAML library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.scanner import ScannerError

from .errors import DEEPEST, NO_UNICODE, TOO_DEEP, BadDocumentError, is_unicode, one_line

#: How many values all aliases of a document may repeat. A few lines of aliases to aliases stand for billions.
MOST_REPEATED = 100_000

#: What the library raises for a text such as `!!int x`, besides its own errors.
_FAILURES = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)


class _Limits:
    """Limits the depth of a document and the use of its aliases. A base of loaders.

    An alias counts as many values, and nests as deep, as the node for which it stands.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)  # type: ignore[call-arg]  # of the loader
        self._depth = 0
        #: The greatest depth in the node that is being read.
        self._reached = 0
        self._count = 0
        self._repeated = 0
        #: Anchor -> the number of values in its node, and how deep that nests.
        self._anchored: dict[str, tuple[int, int]] = {}

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        """Read a `[` or `{`. Raises ScannerError: the library looks ahead, which takes a second for some thousand."""
        loader: Any = self
        if loader.flow_level >= DEEPEST:
            raise ScannerError(None, None, TOO_DEEP, loader.get_mark())
        super().fetch_flow_collection_start(kind)  # type: ignore[misc]  # of the loader

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - the library's own
        """Read a node with its parts. Raises ComposerError."""
        loader: Any = self
        event = loader.peek_event()
        is_alias = isinstance(event, yaml.AliasEvent)
        outer, before = self._reached, self._count  # without this node
        self._depth += 1
        self._reached = self._depth
        self._check_depth(event)
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[misc]  # of the loader
        if is_alias:
            self._count_alias(event)
        elif isinstance(node, yaml.ScalarNode) and not is_unicode(node.value):
            raise _refused(NO_UNICODE, event)
        self._count += 1
        if event.anchor is not None and not is_alias:
            self._anchored[event.anchor] = self._count - before, self._reached - self._depth
        self._depth -= 1
        self._reached = max(outer, self._reached)
        return node

    def _count_alias(self, alias: Any) -> None:  # noqa: ANN401 - an event of the library
        """Count the values and the depth of the node for which an alias stands. Raises ComposerError."""
        if alias.anchor not in self._anchored:
            raise _refused(f"the alias *{alias.anchor} is a part of what it stands for", alias)
        count, height = self._anchored[alias.anchor]
        self._reached += height
        self._check_depth(alias)
        self._count += count
        self._repeated += count
        if self._repeated > MOST_REPEATED:
            raise _refused(f"its aliases repeat more than {MOST_REPEATED} values", alias)

    def _check_depth(self, event: Any) -> None:  # noqa: ANN401 - as above
        if self._reached > DEEPEST:
            raise _refused(TOO_DEEP, event)


def _refused(reason: str, event: Any) -> ComposerError:  # noqa: ANN401 - as above
    return ComposerError(None, None, reason, event.start_mark)


class _Typed(_Limits, yaml.SafeLoader):
    """Values of the types of JSON."""


class _Texts(_Limits, yaml.BaseLoader):
    """Every scalar as text."""


def _refuse_type(_: yaml.SafeLoader, node: yaml.Node) -> NoReturn:
    """Refuse a value of a type that JSON does not have."""
    raise ConstructorError(None, None, f"JSON has no {node.tag.rpartition(':')[2]}", node.start_mark)


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    number: int = loader.construct_yaml_int(node)
    str(number)  # raises ValueError for thousands of digits, which neither a message nor JSON can show
    return number


_Typed.add_constructor("tag:yaml.org,2002:int", _whole)
_Typed.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
for _kind in ("binary", "omap", "pairs", "set"):
    _Typed.add_constructor(f"tag:yaml.org,2002:{_kind}", _refuse_type)


class YamlDocument:
    """A YAML document whose nodes are read one by one, so that their lines are known. Raises BadDocumentError."""

    def __init__(self, text: str, *, typed: bool = True) -> None:
        with _refusals():
            self._loader = (_Typed if typed else _Texts)(text)
            #: None for an empty document.
            self.root: yaml.Node | None = self._loader.get_single_node()

    def value(self, node: yaml.Node) -> Any:  # noqa: ANN401 - any JSON value
        """The value of a node. Raises BadDocumentError."""
        with _refusals():
            return self._loader.construct_document(node)


def read_yaml(text: str, *, typed: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a YAML text; None if it is empty. If not `typed`, every scalar is text. Raises BadDocumentError."""
    document = YamlDocument(text, typed=typed)
    return document.value(document.root) if document.root is not None else None


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the failures of the library into words."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise BadDocumentError(one_line(error.problem), line) from None
    except yaml.YAMLError as error:
        raise BadDocumentError(one_line(error)) from None
    except _FAILURES as error:
        raise BadDocumentError(f"a value is not of its type: {one_line(error)}") from None
