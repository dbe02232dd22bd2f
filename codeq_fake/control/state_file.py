"""The file in which a fake's state outlives its process: what ``GET /_fake/state`` shows, written whole."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .errors import BadRequestError, ConflictError
from .files import write_whole
from .lock import sole_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .controls import Controls

_ANEW = "move it away to begin anew"


@contextmanager
def kept_in(file: Path) -> Iterator[None]:
    """Have ``file`` for one fake alone: two would each write over what the other has saved.

    Raises BadRequestError for what is no regular file, and ConflictError when another fake has it.
    """
    if file.exists() and not file.is_file():
        raise BadRequestError(f"{file} is no regular file; name one, or one that is not there yet")
    with ExitStack() as held:
        try:
            held.enter_context(sole_user(file))
        except BlockingIOError:
            raise ConflictError(f"{file} is in use by another fake; end that one, or name another file") from None
        except OSError as error:
            raise _unwritable(file, error) from None
        yield


def load(controls: Controls, file: Path) -> bool:
    """Let the fake go on from what ``file`` holds; says whether there is such a file. To be called in an event loop.

    Raises BadRequestError, and then has changed nothing, neither the fake nor the file.
    """
    try:
        held: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadRequestError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"{file} is damaged, or no state of a fake: no JSON ({error}); {_ANEW}") from None
    try:
        controls.restore(held if isinstance(held, dict) else {})
    except BadRequestError as error:
        raise BadRequestError(f"{file}: {error}; {_ANEW}") from None
    return True


def save(controls: Controls, file: Path) -> dict[str, Any]:
    """Write the fake's state to ``file``, whole or not at all. Raises ConflictError when it cannot be written."""
    state = controls.state()
    try:
        write_whole(file, json.dumps(state) + "\n")
    except OSError as error:
        raise _unwritable(file, error) from None
    return {"file": str(file), "tasks": len(state["broker"]["tasks"])}


def _unwritable(file: Path, error: OSError) -> ConflictError:
    return ConflictError(f"{file} cannot be written: {error.strerror}")
