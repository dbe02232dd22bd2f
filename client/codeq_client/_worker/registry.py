"""The `Registry`: handlers by command, without a connection, so that a module with handlers needs no settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any, TypeVar, Unpack, overload

from codeq_client._api.arguments import check_text
from codeq_client._api.models import Command
from codeq_client.errors import ConfigurationError

from .handlers import Handler, Policy, Registration, check_function, check_policy, takes_context

P = TypeVar("P")
R = TypeVar("R")


class Registry:
    """Handlers by command. `Worker(codeq, registry)` runs them, or `codeq-worker run MODULE:REGISTRY`."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that have a handler, in the order of their registration."""
        return tuple(handler.command for handler in self._handlers.values())

    @overload
    def handler(self, command: Command[P, R], **policy: Unpack[Policy]) -> Registration[P, R]: ...
    @overload
    def handler(
        self, command: str, *, payload: type[P], result: type[R], **policy: Unpack[Policy]
    ) -> Registration[P, R]: ...
    @overload
    def handler(self, command: str, *, payload: type[P], **policy: Unpack[Policy]) -> Registration[P, Any]: ...
    @overload
    def handler(self, command: str, *, result: type[R], **policy: Unpack[Policy]) -> Registration[Any, R]: ...
    @overload
    def handler(
        self,
        command: str,
        *,
        payload: type[Any] | UnionType | None = ...,
        result: type[Any] | UnionType | None = ...,
        **policy: Unpack[Policy],
    ) -> Registration[Any, Any]: ...
    def handler(
        self, command: str | Command[Any, Any], *, payload: Any = None, result: Any = None, **policy: Unpack[Policy]
    ) -> Registration[Any, Any]:
        """Register the decorated function for `command`. It is async, or plain and then runs on a thread.

        `command` is a `Command` with its types, or a name with the types `payload` and `result`: a dataclass, attrs
        class, pydantic model, TypedDict, a plain type, or a union such as `Order | None`, which type checkers do not
        check against the function. Without a type the JSON value is passed on. The return value completes the task;
        `Retry`, `Fail` and `Abandon` may be raised or returned. Of other exceptions the `permanent` ones fail the task,
        and the rest retry it, after `backoff(task)` seconds or the server's backoff. `timeout`, `stall`, `concurrency`
        and `rate` limit the handler and its command, `priority` and `share` say when the command is claimed, and `pool`
        says where the handler runs: see `Policy`. Keyword-only parameters of the function get what the worker's
        lifespan yields.
        """
        if isinstance(command, Command):
            payload, result = command.payload, command.result
        name = command.name if isinstance(command, Command) else command
        check_text(name, "the command", hint='; use @worker.handler("COMMAND")')
        self._check_unused(name)
        check_policy(policy)

        def register(function: Callable[..., Any]) -> None:
            check_function(function, policy)
            self._add(Handler(name, function, takes_context(function), payload, result, **policy))

        return Registration(register)

    def include(self, other: Registry) -> None:
        """Add the handlers that another registry has now."""
        for command in other.commands:
            self._check_unused(command)
        for command in other.commands:
            self._add(other.handler_of(command))

    def handler_of(self, command: str) -> Handler:
        """Return the handler for a command, whatever its upper and lower case (C2); raises `ConfigurationError`."""
        try:
            return self._handlers[command.lower()]
        except KeyError:
            known = ", ".join(self.commands) or "none"
            raise ConfigurationError(f"there is no handler for {command!r}, only for: {known}") from None

    def handlers_of(self, commands: Iterable[str]) -> dict[str, Handler]:
        """Return the handlers for these commands, by command in lower case; without commands, all handlers."""
        chosen = [self.handler_of(command) for command in commands] or self._handlers.values()
        return {handler.command.lower(): handler for handler in chosen}

    def _add(self, handler: Handler) -> None:
        self._handlers[handler.command.lower()] = handler  # C2: commands are case-insensitive

    def _check_unused(self, command: str) -> None:
        if not command.strip() or command.lower() in self._handlers:
            raise ConfigurationError(f"a handler needs a command that no other handler has, not {command!r}")
