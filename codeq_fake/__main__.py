"""Where the command begins. An interrupt ends it without a word, even while it is being loaded."""

from __future__ import annotations

import sys

#: What a shell says of a command that an interrupt has ended: 128 + SIGINT.
_INTERRUPTED = 130


def main() -> None:
    """The command ``codeq-fake``."""
    try:
        from .cli import main as command  # noqa: PLC0415 - takes long enough to be interrupted

        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
