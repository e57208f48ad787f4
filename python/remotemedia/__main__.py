"""The command line: `python -m remotemedia` and the script `remotemedia`."""

from __future__ import annotations

import signal
import sys

from remotemedia._load import native


def main() -> int:
    """Run the command line and give its exit code."""
    # Ctrl-C ends the process, and its workers with it, as it would without Python around; a program
    # in the background ignores it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["compat"]:
        from remotemedia.compat.command import main as compat

        return compat(sys.argv[2:])
    code: int = native().cli(["remotemedia", *sys.argv[1:]])
    return code


if __name__ == "__main__":
    sys.exit(main())
