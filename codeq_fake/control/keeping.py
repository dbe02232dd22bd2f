"""The file in which a fake's state outlives its process: what ``GET /_fake/state`` shows, written whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from codeq_fake.files import write_whole

from .errors import BadRequestError, ConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from .controls import Controls


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
        raise BadRequestError(f"{file} is damaged, or no state of a fake: no JSON ({error})") from None
    try:
        controls.restore(held if isinstance(held, dict) else {})
    except BadRequestError as error:
        raise BadRequestError(f"{file}: {error}; move it away to begin anew") from None
    return True


def save(controls: Controls, file: Path) -> dict[str, Any]:
    """Write the fake's state to ``file``, whole or not at all. Raises ConflictError when it cannot be written."""
    state = controls.state()
    try:
        write_whole(file, json.dumps(state) + "\n")
    except OSError as error:
        raise ConflictError(f"{file} cannot be written: {error.strerror}") from None
    return {"file": str(file), "tasks": len(state["broker"]["tasks"])}
