"""Entry point of the command. Ctrl-C exits silently, also during start-up."""

from __future__ import annotations

import sys

#: The exit code after an interrupt: 128 + SIGINT.
_INTERRUPTED = 130


def main() -> None:
    """Run the command `codeq-contract`."""
    try:
        from .cli import main as command  # noqa: PLC0415 - Ctrl-C may come during the import
        from .compat.httpx import import_without_command  # noqa: PLC0415 - as above

        import_without_command()
        command(prog_name="codeq-contract")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
