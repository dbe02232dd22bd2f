"""The state of a fake on a port: restored or seeded at its start, saved at its end and, if wanted, while it runs.

`control.state_file` reads and writes the file, and a control call saves it at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from codeq_fake.control import BadRequestError, ConflictError
from codeq_fake.runtime.fake_server import FakeServer

from .output import FAILED, MISUSED, exit_with, tell

if TYPE_CHECKING:
    from codeq_fake.control.seed_files import Seed


class Persistence(NamedTuple):
    """What a fake starts with, and when its state is saved. The configuration of the fake names the file."""

    runtime: FakeServer
    seed: Seed | None
    interval: float | None
    """Seconds between two writes of the file; None: only at the end."""

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A context that restores the state or creates the seed first, and saves the state at the end.

        Ends the program if that fails. Needs a running event loop.
        """
        file = self.runtime.config.state_file
        try:
            with ExitStack() as stack:
                if file is None:
                    self._create_seed()
                else:
                    self._keep_in(file, stack)
                yield
        except BadRequestError as error:
            exit_with(str(error), MISUSED)
        except ConflictError as error:
            exit_with(str(error), FAILED)

    def _keep_in(self, file: Path, stack: ExitStack) -> None:
        """Restore the state in `file`, or create the seed, and save the state from now on and when `stack` ends."""
        from codeq_fake.control import state_file  # noqa: PLC0415 - most servers keep nothing
        from codeq_fake.control.controls import Controls  # noqa: PLC0415 - as above

        controls, chosen = Controls(self.runtime), self.runtime.config.profile
        stack.enter_context(state_file.reserved(file))
        if not state_file.load(file, controls.restore):
            self._create_seed()
        if (restored := self.runtime.config.profile) != chosen:
            tell(
                f"{file} has a state of the profile {restored}, which this fake takes on in place of {chosen}; "
                "to use that one, move the file away and start with an empty state"
            )

        def save() -> None:
            state_file.save(file, json.dumps(controls.state()))

        save()  # fail now rather than at the end
        stack.callback(save)
        if self.interval is not None:
            stack.enter_context(_repeated(controls.save, self.interval))

    def _create_seed(self) -> None:
        if self.seed is None:
            return
        from codeq_fake.control.seed_files import create_all  # noqa: PLC0415 - loads YAML

        create_all(self.runtime, self.seed)


@contextmanager
def _repeated(save: Callable[[], Awaitable[object]], interval: float) -> Iterator[None]:
    """Call `save` every `interval` seconds as long as the context lasts. A failure is reported, and tried again."""
    saving = asyncio.get_running_loop().create_task(_repeat(save, interval))
    try:
        yield
    finally:
        saving.cancel()


async def _repeat(save: Callable[[], Awaitable[object]], interval: float) -> NoReturn:
    while True:
        await asyncio.sleep(interval)
        try:
            await save()
        except ConflictError as error:
            tell(str(error))
