"""The command line: `python -m remotemedia` and the script `remotemedia`."""

from __future__ import annotations

import signal
import sys

from remotemedia._load import native


def main() -> int:
    """Run the command line and return its exit code."""
    # Let Ctrl-C end the process and with it the workers, without a KeyboardInterrupt. A program in
    # the background, which ignores SIGINT, goes on ignoring it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["compat"]:
        from remotemedia.compat.command import main as compat

        return compat(sys.argv[2:])
    if sys.argv[1:2] == ["doctor"]:
        from remotemedia.doctor.command import main as doctor

        return doctor(sys.argv[2:])
    if sys.argv[1:2] == ["replay"]:
        from remotemedia.replay import main as replay

        return replay(sys.argv[2:])
    if sys.argv[1:2] == ["runs"]:
        from remotemedia.workflows.command import main as runs

        return runs(sys.argv[2:])
    code: int = native().cli(["remotemedia", *sys.argv[1:]])
    return code


if __name__ == "__main__":
    sys.exit(main())
