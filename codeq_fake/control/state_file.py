"""The file in which a fake keeps its state when its process ends: locked, read, and written whole or not at all.

`cli.persistence` saves it at the end and in between, and `Controls.save` on request. `Controls.state` makes its
content; the part that is the broker's comes from `core.saved_state`, which also refuses a state of another version, or
one that contradicts itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from codeq_fake.documents import BadDocumentError, read_json

from .errors import BadRequestError, ConflictError

#: How the name of a file ends that is not complete yet.
_UNFINISHED = ".unfinished"
_ADVICE = "move it away to start with an empty state"


@contextmanager
def reserved(file: Path) -> Iterator[None]:
    """Reserve `file` for one fake: two would overwrite each other's states.

    Raises BadRequestError if it is not a regular file, and ConflictError if another fake uses it.
    """
    if file.exists() and not file.is_file():
        raise BadRequestError(f"{file} is not a regular file; name one, or one that is not there yet")
    with ExitStack() as lock:
        try:
            lock.enter_context(_locked(file))
        except BlockingIOError:
            raise ConflictError(f"{file} is in use by another fake; end that one, or name another file") from None
        except OSError as error:
            raise _unwritable(file, error) from None
        yield


def load(file: Path, restore: Callable[[Mapping[str, Any]], object]) -> bool:
    """Pass the state that `file` holds to `restore`. Returns whether there is such a file.

    Raises BadRequestError for a file that holds no state, also if `restore` does.
    """
    try:
        state = read_json(file.read_bytes(), is_shaped=True)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadRequestError(f"{file}: {error.strerror}") from None
    except BadDocumentError as error:
        raise BadRequestError(f"{file} is damaged, or no state of a fake: no JSON ({error}); {_ADVICE}") from None
    try:
        restore(state if isinstance(state, dict) else {})
    except BadRequestError as error:
        raise BadRequestError(f"{file}: {error}; {_ADVICE}") from None
    return True


def save(file: Path, text: str) -> None:
    """Write the JSON text of a fake's state to `file`, whole or not at all. Raises ConflictError if that fails."""
    try:
        write_whole(file, text + "\n")
    except OSError as error:
        raise _unwritable(file, error) from None


def write_whole(file: Path, text: str) -> None:
    """Replace the content of `file` with `text` in one step.

    Readers find the old or the new content, even after a crash. Only the owner can read a new file, since a state holds
    payloads. Raises OSError, and then the file has not changed.
    """
    from tempfile import NamedTemporaryFile  # noqa: PLC0415 - loads what compresses files, and few fakes have one

    target = file.resolve()  # a symbolic link stays one
    _remove_leftovers(target)
    # In the same directory, since a file cannot be renamed into another file system.
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", suffix=_UNFINISHED, delete=False
    ) as made:
        try:
            _hold(made.fileno())
            made.write(text)
            made.flush()
            os.fsync(made.fileno())
            with suppress(FileNotFoundError):
                os.chmod(made.name, target.stat().st_mode)  # noqa: PTH101 - the name of an open file
            if sys.platform == "win32":
                made.close()  # there, only a closed file can be renamed
            os.replace(made.name, target)  # noqa: PTH105 - as above
        except BaseException:
            os.unlink(made.name)  # noqa: PTH108 - as above
            raise


def _remove_leftovers(target: Path) -> None:
    """Remove the files of writers of `target` that were killed. One that still writes holds its file."""
    from glob import escape  # noqa: PLC0415 - as above

    for file in target.parent.glob(f".{escape(target.name)}.*{_UNFINISHED}"):
        with suppress(OSError), file.open("rb") as unfinished:
            _hold(unfinished.fileno())
            file.unlink()


def _unwritable(file: Path, error: OSError) -> ConflictError:
    return ConflictError(f"{file} cannot be written: {error.strerror}")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Lock `file`, which need not exist. The system ends the lock with the process.

    Raises BlockingIOError if another process or context has the lock, and OSError if the lock cannot be tried. On
    Windows there is no lock.
    """
    if sys.platform == "win32":
        yield
        return
    target = file.resolve()
    # The lock is on a file beside it, since each write replaces the file itself.
    lock_file = target.with_name(f".{target.name}.lock")
    lock = _lock(lock_file)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock_file.unlink()  # before it is unlocked: the next user creates a new one
        os.close(lock)


if sys.platform == "win32":

    def _hold(_: int) -> None:
        """Do nothing: Windows does not let others remove an open file."""

else:
    import fcntl

    def _hold(opened: int) -> None:
        """Lock an open file. Raises BlockingIOError if it is locked. The system ends the lock with the process."""
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _lock(lock_file: Path) -> int:
        """Hold the lock file, and return its descriptor. Raises OSError if another process holds it."""
        while True:
            lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _hold(lock)
                if _is_same(lock_file, lock):
                    return lock
            except OSError:
                os.close(lock)
                raise
            os.close(lock)  # its last user has removed the file between these two calls

    def _is_same(lock_file: Path, lock: int) -> bool:
        try:
            return os.path.samestat(lock_file.stat(), os.fstat(lock))
        except FileNotFoundError:
            return False
