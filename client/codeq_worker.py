"""Entry points of the commands `codeq-worker` and `codeq`. Ctrl-C exits silently, also during start-up.

They are outside of `codeq_client`, because the import of that package is most of the start-up.
"""

from __future__ import annotations

import sys

#: The exit code after an interrupt: 128 + SIGINT.
_INTERRUPTED = 130


def main() -> None:
    """Run the command `codeq-worker`."""
    _leave_out_the_command_of_httpx()
    try:
        from codeq_client.worker_cli import main as command  # noqa: PLC0415 - Ctrl-C may come during the import

        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def codeq() -> None:
    """Run the command `codeq`."""
    _leave_out_the_command_of_httpx()
    try:
        from codeq_client.task_cli import main as command  # noqa: PLC0415 - Ctrl-C may come during the import

        command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _leave_out_the_command_of_httpx() -> None:
    """Let this program import httpx without its command, which loads Rich and Pygments where they are installed.

    That is a private name of httpx. It is here, since `codeq_client._compat` is loaded with httpx.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as Python's manual has it


if __name__ == "__main__":
    main()
