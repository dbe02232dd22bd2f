"""Entry point of the command. Ctrl-C exits silently, also during start-up."""

from __future__ import annotations

import gc
import sys

#: The exit code after an interrupt: 128 + SIGINT.
_INTERRUPTED = 130


def main() -> None:
    """Run the command `codeq-fake`."""
    try:
        gc.disable()  # what an import creates stays: to look for garbage in it takes a twelfth of a start
        from .cli import main as command  # noqa: PLC0415 - Ctrl-C may come during the import

        gc.freeze()
        gc.enable()
        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
