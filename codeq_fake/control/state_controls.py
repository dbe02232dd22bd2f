"""The control calls for the whole state: export it, import it, and write it to the state file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from codeq_fake import payloads
from codeq_fake.clocks import in_slices
from codeq_fake.core import Broker, saved_state
from codeq_fake.core.slices import Slices, at_once
from codeq_fake.documents import free_in_slices
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.server_settings import SettingsError

from . import json_blocks, representations, state_file
from .argument_readers import instant, profile
from .errors import BadRequestError, ConflictError


class StateControls:
    """The part of `Controls` for the whole state."""

    _runtime: FakeServer

    def state(self) -> dict[str, Any]:
        """The whole state: profile, time, and everything that the broker stores."""
        return self._state(saved_state.dump)

    def begin_state(self) -> dict[str, Any]:
        """As `state`, with iterators in the place of long lists: see `saved_state.begin_dump`."""
        return self._state(saved_state.begin_dump)

    def _state(self, dump: Callable[[Broker], dict[str, Any]]) -> dict[str, Any]:
        runtime = self._runtime
        now = representations.time(runtime.clock.now())
        return {"profile": runtime.config.profile, "now": now, "broker": dump(runtime.broker)}

    async def state_text(self) -> list[bytes]:
        """The JSON text of the state at one instant, in blocks. Other requests are answered meanwhile."""
        async with self._runtime.freezing:
            return await in_slices(json_blocks.encoded(self.begin_state()))

    def restore(self, state: Mapping[str, Any]) -> payloads.Health:
        """Replace the state by one that `state` returned; the settings stay. Needs a running event loop.

        A manual clock is set to the time of the state, a real one only if it is behind. Raises BadRequestError for an
        invalid state, which changes nothing.
        """
        return at_once(self._restore(state))

    async def restore_in_slices(self, state: dict[str, Any]) -> payloads.Health:
        """As `restore`. Other requests are answered meanwhile, and see the old state until the new one is complete.

        Afterwards the given state is empty: its memory is freed in slices, too.
        """
        try:
            return await in_slices(self._restore(state))
        finally:
            await in_slices(free_in_slices(state))

    def _restore(self, state: Mapping[str, Any]) -> Slices[payloads.Health]:
        """Check a state, and then put it in the place of this fake's own. Raises BadRequestError."""
        try:
            loaded = yield from saved_state.load(state)
        except saved_state.InvalidState as error:
            raise BadRequestError(str(error)) from None
        fill = partial(saved_state.restore, state=loaded["broker"])
        try:
            yield from self._runtime.restore(profile(loaded["profile"]), instant(loaded["now"]), fill)
        except SettingsError as error:
            raise BadRequestError(str(error)) from None
        return representations.health(self._runtime)

    async def save(self) -> dict[str, Any]:
        """Write the state to this fake's state file, in slices. Raises ConflictError if it has none."""
        file = self._runtime.config.state_file
        if file is None:
            raise ConflictError("this fake has no state file; start it with --persist FILE")
        async with self._runtime.freezing:
            tasks = len(self._runtime.broker.store.tasks)
            blocks = await in_slices(json_blocks.encoded(self.begin_state()))
            state_file.save(file, b"".join(blocks).decode())
        return {"file": str(file), "tasks": tasks}
