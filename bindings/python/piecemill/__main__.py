"""python -m piecemill: the command of the C program."""

import os
import signal
import sys
from typing import List


def main(arguments: List[str]) -> int:
    """Runs the command with these arguments (without the program's name) and returns its exit code."""
    from . import _piecemill

    argv = [b"piecemill"] + [os.fsencode(argument) for argument in arguments]
    run = getattr(_piecemill, "cli_main", None)
    if run is None:  # built against an installed library, which comes with its own program
        os.execvp(b"piecemill", argv)
    # The command handles signals itself, as the C program does: it dies by SIGINT, and a closed pipe ends it quietly.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    code: int = run(argv)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
